package demo

import (
	"bytes"
	"context"
	"crypto/subtle"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strconv"
	"strings"
)

// The environment variables of a child that has controls.
const (
	controlEnv = "CHAT_CONTROL"       // where the parent listens, host:port
	tokenEnv   = "CHAT_CONTROL_TOKEN" // authenticates orders
	portsEnv   = "CHAT_CONTROL_PORTS" // of the nodes, separated by commas
)

// environ returns the environment variables by which a child reaches its parent.
func (o *controls) environ() []string {
	env := []string{
		parentEnv + "=" + o.listener.Addr().String(),
		parentTokenEnv + "=" + o.reportToken,
	}
	if o.broker == nil {
		return env
	}
	var ports []string
	for _, p := range o.cluster.ports {
		ports = append(ports, strconv.Itoa(p))
	}
	return append(env,
		controlEnv+"="+o.listener.Addr().String(),
		tokenEnv+"="+o.token,
		portsEnv+"="+strings.Join(ports, ","),
	)
}

// Remote is a child's side of the controls. It may be used concurrently.
type Remote struct {
	addr, token string
	ports       []string
	client      *http.Client
}

// Controls returns the controls of this child's cluster, from the environment; nil if
// there are none.
func Controls(lookup func(string) (string, bool)) *Remote {
	addr, _ := lookup(controlEnv)
	token, _ := lookup(tokenEnv)
	ports, _ := lookup(portsEnv)
	if addr == "" || token == "" || ports == "" {
		return nil
	}
	return newRemote(addr, token, strings.Split(ports, ","))
}

func newRemote(addr, token string, ports []string) *Remote {
	return &Remote{
		addr: addr, token: token, ports: ports,
		client: &http.Client{
			Timeout: 2 * orderWithin,
			// Never by a proxy: the parent is on this machine.
			Transport: &http.Transport{DialContext: new(net.Dialer).DialContext, MaxIdleConns: 4},
		},
	}
}

// Token returns the token that authenticates orders of pages.
func (r *Remote) Token() string { return r.token }

// Knows reports whether a token is that of Token, in constant time.
func (r *Remote) Knows(token string) bool {
	return subtle.ConstantTimeCompare([]byte(token), []byte(r.token)) == 1
}

// IsPort reports whether a port is that of a node of the cluster.
func (r *Remote) IsPort(port string) bool { return slices.Contains(r.ports, port) }

// NodeAt returns the number of the node with a port; 0 if there is none.
func (r *Remote) NodeAt(port int) int { return slices.Index(r.ports, strconv.Itoa(port)) + 1 }

// PortOf returns the port of a node that State lists.
func (r *Remote) PortOf(node int) string { return r.ports[node-1] }

// State asks the parent for the state of the cluster.
func (r *Remote) State(ctx context.Context) (State, error) {
	return r.ask(ctx, http.MethodGet, "/state", nil)
}

// Do forwards an order to the parent. The error is a *Refusal if the parent refuses.
func (r *Remote) Do(ctx context.Context, order Order) (State, error) {
	body, err := json.Marshal(order)
	if err != nil {
		return State{}, err
	}
	return r.ask(ctx, http.MethodPost, "/order", body)
}

func (r *Remote) ask(ctx context.Context, method, path string, body []byte) (s State, err error) {
	answer, err := r.send(ctx, method, path, body)
	if err != nil {
		return State{}, err
	}
	if err := json.Unmarshal(answer, &s); err != nil || len(s.Nodes) > len(r.ports) {
		return State{}, errors.New("the parent answered something else")
	}
	return s, nil
}

// send sends a request to the parent, and returns the body of its answer. The error is
// a *Refusal if the parent refuses.
func (r *Remote) send(ctx context.Context, method, path string, body []byte) ([]byte, error) {
	req, err := http.NewRequestWithContext(ctx, method, "http://"+r.addr+path, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	req.Header.Set("Authorization", "Bearer "+r.token)
	res, err := r.client.Do(req)
	if err != nil {
		return nil, fmt.Errorf("ask the parent: %w", errors.Unwrap(err)) // without the URL
	}
	defer res.Body.Close()
	answer, err := io.ReadAll(io.LimitReader(res.Body, maxState))
	if err != nil {
		return nil, fmt.Errorf("read the parent's answer: %w", err)
	}
	if res.StatusCode != http.StatusOK {
		no := &Refusal{Status: res.StatusCode}
		if err := json.Unmarshal(answer, no); err != nil {
			return nil, fmt.Errorf("the parent answered %s", res.Status)
		}
		return nil, no
	}
	return answer, nil
}

// maxState bounds the parent's answer, in bytes: it has about 100 for each node.
const maxState = 1 << 20
