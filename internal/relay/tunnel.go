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

// A WebSocket stays for as long as its client, and most that come through a proxy
// without sticky sessions are passed on. So it costs little: neither net/http's
// buffers nor its goroutine, but two small ones.
const (
	tunnelBytes = 2 << 10 // for each direction
	// headWithin is how long a client may take to be told that it is accepted.
	headWithin = 10 * time.Second
	// takeWithin is how long a side may take what it is sent, and the owner to end
	// when its client has.
	takeWithin = time.Minute
	// maxRefusal bounds what is passed on of an owner's refusal.
	maxRefusal = 64 << 10
)

// hopHeaders are for one connection, and not passed on (RFC 9110 section 7.6.1).
var hopHeaders = []string{"Keep-Alive", "Proxy-Connection", "Proxy-Authorization", "Te", "Trailer", "Transfer-Encoding"}

// tunnel passes a WebSocket on. It returns once that is accepted, or refused by the
// owner; end is called when all is over, also where it was not answered: then it
// returns why, and nothing was written.
func (p *Relay) tunnel(ctx context.Context, f *forward, w http.ResponseWriter, r *http.Request, end func()) error {
	owner, head, answer, err := p.ask(ctx, f, r)
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
	early, _ := in.Reader.Peek(in.Reader.Buffered()) // it is there
	first, _ := head.Peek(head.Buffered())
	_ = owner.SetDeadline(time.Time{})
	_ = client.SetDeadline(time.Now().Add(headWithin))
	_, _ = fmt.Fprintf(client, "HTTP/1.1 %s\r\n", answer.Status)
	_ = answer.Header.Write(client)
	_, _ = client.Write(append([]byte("\r\n"), first...))
	_, _ = owner.Write(early) // where any of these fails, the copying ends at once
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

// pump copies until either side ends. It hides from io.Copy that these are
// sockets: that would hold a pipe for each.
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
