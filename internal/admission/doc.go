// Package admission decides which requests and connections a node accepts.
//
// A Policy judges where a request comes from: by its Host, by its Origin, and by the
// forwarding headers of proxies that the operator trusts. It stands before
// everything else that the node's listeners serve. A browser sends a page's requests
// to whatever address a name resolves to at the moment, so a foreign page whose name
// resolves to this node for a while (DNS rebinding) has the node's own origin; only
// the Host header still shows the foreign name. That is why a node answers only under
// names that its operator gave, and makes the URLs it hands to clients of these names
// alone.
//
// A Limiter bounds the handshakes in flight, and Connections the plain HTTP
// connections. A node that thousands of clients connect to at once would drown in
// their handshakes, and users who are connected would notice; so a client beyond the
// bound is asked to return later, before the node has spent anything on it.
package admission
