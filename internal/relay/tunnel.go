package relay

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"time"
)

// A WebSocket stays as long as its client, and behind a proxy without sticky sessions
// most are relayed. So a relayed one is cheap: two small buffers in place of net/http's
// buffers and goroutine.
const (
	tunnelBytes = 2 << 10 // for each direction
	// headWithin bounds the write of the accepting answer to the client.
	headWithin = 10 * time.Second
	// takeWithin bounds each write to either side, and the owner's end after its
	// client's.
	takeWithin = time.Minute
	// maxRefusal bounds the part of an owner's refusal that is relayed.
	maxRefusal = 64 << 10
)

// hopHeaders belong to one connection, and are not relayed (RFC 9110 section 7.6.1).
var hopHeaders = []string{"Keep-Alive", "Proxy-Connection", "Proxy-Authorization", "Te", "Trailer", "Transfer-Encoding"}

// tunnel relays a WebSocket. It returns once that is accepted, or refused by the owner.
// end is called when the tunnel has ended. If the owner did not answer, tunnel calls
// end too and returns why, and nothing was written.
func (p *Relay) tunnel(ctx context.Context, f *forward, w http.ResponseWriter, r *http.Request, end func()) error {
	owner, head, answer, err := p.ask(ctx, f, r) //nolint:bodyclose // the body is read from owner, which is closed
	if err != nil {
		end()
		return err
	}
	if answer.Header.Get(sealHeader) == sealRefused {
		_ = owner.Close()
		end()
		return errRefused
	}
	if answer.StatusCode != http.StatusSwitchingProtocols {
		defer end()
		defer func() { _ = owner.Close() }()
		header := w.Header()
		for name, values := range answer.Header {
			header[name] = values
		}
		w.WriteHeader(answer.StatusCode)
		_, _ = io.Copy(w, io.LimitReader(answer.Body, maxRefusal))
		return nil
	}
	client, in, err := http.NewResponseController(w).Hijack()
	if err != nil {
		_ = owner.Close()
		end()
		return err
	}
	early, _ := in.Reader.Peek(in.Reader.Buffered()) // buffered already, so it can't fail
	first, _ := head.Peek(head.Buffered())
	_ = owner.SetDeadline(time.Time{})
	_ = client.SetDeadline(time.Now().Add(headWithin))
	_, _ = fmt.Fprintf(client, "HTTP/1.1 %s\r\n", answer.Status)
	_ = answer.Header.Write(client)
	_, _ = client.Write(append([]byte("\r\n"), first...))
	_, _ = owner.Write(early) // if any of these fails, the copying ends at once
	_ = client.SetDeadline(time.Time{})
	stop := context.AfterFunc(ctx, func() {
		_ = owner.Close()
		_ = client.Close()
	})
	go func() { // ends with the client, or when the owner is closed below
		pump(owner, client)
		if half, ok := owner.(*net.TCPConn); ok {
			_ = half.CloseWrite()
		}
		_ = owner.SetReadDeadline(time.Now().Add(takeWithin))
	}()
	go func() { // ends with the owner, or when ctx is done; Close waits for it
		defer end()
		pump(client, owner)
		stop()
		_ = client.Close()
		_ = owner.Close()
	}()
	return nil
}

// ask sends the request to its owner, and reads the head of the answer.
func (p *Relay) ask(ctx context.Context, f *forward, r *http.Request) (net.Conn, *bufio.Reader, *http.Response, error) {
	owner, err := dialer.DialContext(ctx, "tcp", f.addr)
	if err != nil {
		return nil, nil, nil, err
	}
	_ = owner.SetDeadline(time.Now().Add(acceptWithin))
	out := r.Clone(ctx)
	for _, name := range hopHeaders {
		out.Header.Del(name)
	}
	out.Body = nil
	p.address(out, f, r)
	s := seal{from: p.cfg.Tag, number: p.count.Add(1), client: f.client, scheme: f.scheme}
	out.Header.Set(sealHeader, s.text(p.key, f.tag, out, out.URL.RequestURI()))
	head := bufio.NewReaderSize(owner, tunnelBytes)
	err = out.Write(owner)
	var answer *http.Response
	if err == nil {
		answer, err = http.ReadResponse(head, out)
	}
	if err != nil {
		_ = owner.Close()
		return nil, nil, nil, err
	}
	return owner, head, answer, nil
}

// pump copies until either side ends. It hides from io.Copy that both are sockets, for
// which io.Copy would use a pipe each.
func pump(to, from net.Conn) {
	buf := make([]byte, tunnelBytes)
	for {
		n, err := from.Read(buf)
		if n > 0 {
			_ = to.SetWriteDeadline(time.Now().Add(takeWithin))
			if _, bad := to.Write(buf[:n]); bad != nil {
				return
			}
		}
		if err != nil {
			return
		}
	}
}
