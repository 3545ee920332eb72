package relay

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/textproto"
	"sync/atomic"
	"syscall"
	"time"
)

// Timeouts of the parts of a request to another node. A poll may wait for a long time,
// so its owner confirms at once (102 Processing) that it has it; TCP detects when the
// connection dies after that.
const (
	dialWithin = 2 * time.Second
	// acceptWithin bounds the time until the owner's confirmation, dialing included.
	acceptWithin = 3 * time.Second
	// postWithin bounds the time from there to the answer to a POST, and bodyWithin the
	// time for the body of the answer, and for that of the request.
	postWithin = 10 * time.Second
	bodyWithin = 10 * time.Second
	// deadAfter is how long the other machine may leave sent bytes unacknowledged;
	// probes are sent when a connection is quiet for probeAfter.
	deadAfter  = 5 * time.Second
	probeAfter = 5 * time.Second
	probeEvery = 2 * time.Second
	probeCount = 3
)

// Errors of an owner that does not answer as it should.
var (
	errRefused     = errors.New("another node is at this address: see --peer-addr")
	errNotAccepted = fmt.Errorf("the node did not take the request within %s", acceptWithin)
	errNoAnswer    = errors.New("the node took the request and did not answer in time")
)

// dialer makes connections to other nodes, which end soon when the other machine is
// gone.
var dialer = net.Dialer{
	Timeout:         dialWithin,
	KeepAliveConfig: net.KeepAliveConfig{Enable: true, Idle: probeAfter, Interval: probeEvery, Count: probeCount},
	Control:         func(_, _ string, c syscall.RawConn) error { return c.Control(setDeadAfter) },
}

// asker sends requests to their owners (http.RoundTripper).
type asker struct{ *Relay }

// RoundTrip sends a request, and once more if the connection had rested or broke: the
// owner recognises the repeat by the number of the first try.
func (a asker) RoundTrip(out *http.Request) (*http.Response, error) {
	f, _ := out.Context().Value(forwardKey{}).(*forward)
	s := seal{from: a.cfg.Tag, number: a.count.Add(1), client: f.client, scheme: f.scheme}
	answer, reused, err := a.try(out, f, s)
	var broken net.Error
	late := errors.Is(err, errNotAccepted) || errors.Is(err, errNoAnswer) || errors.As(err, &broken) && broken.Timeout()
	if err == nil || out.Context().Err() != nil || !f.whole || isDial(err) || late && !reused {
		return answer, err
	}
	a.transport.CloseIdleConnections() // the other connections are of the same age
	s.first, s.number = s.number, a.count.Add(1)
	answer, _, err = a.try(out, f, s)
	return answer, err
}

// isDial reports whether a node could not be dialed.
func isDial(err error) bool {
	var op *net.OpError
	return errors.As(err, &op) && op.Op == "dial"
}

// try sends a request once. reused reports that the connection had been used before.
func (a asker) try(out *http.Request, f *forward, s seal) (answer *http.Response, reused bool, err error) {
	// A context of its own: ReverseProxy's would relay 102 to the client.
	ctx, cancel := context.WithCancelCause(context.Background())
	stop := context.AfterFunc(out.Context(), func() { cancel(context.Cause(out.Context())) })
	longest := a.cfg.Longest
	if out.Method == http.MethodPost {
		longest = postWithin
	}
	var timer atomic.Pointer[time.Timer]
	within := func(d time.Duration, why error) {
		if old := timer.Swap(time.AfterFunc(d, func() { cancel(why) })); old != nil {
			old.Stop()
		}
	}
	end := func() {
		timer.Load().Stop()
		stop()
		cancel(nil)
	}
	within(acceptWithin, errNotAccepted)
	var used atomic.Bool
	ctx = httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{
		GotConn: func(info httptrace.GotConnInfo) { used.Store(info.Reused) },
		Got1xxResponse: func(int, textproto.MIMEHeader) error {
			within(longest, errNoAnswer)
			return nil
		},
	})
	r := out.Clone(ctx)
	r.Header.Set(sealHeader, s.text(a.key, f.tag, r, r.URL.RequestURI()))
	// A body that net/http can't read again keeps it from repeating the request under
	// the same number.
	r.Body = io.NopCloser(f.body())
	answer, err = a.transport.RoundTrip(r)
	if err != nil {
		if cause := context.Cause(ctx); cause != nil {
			err = cause
		}
		end()
		return nil, used.Load(), err
	}
	within(bodyWithin, errNoAnswer)
	answer.Body = &body{answer.Body, end}
	return answer, used.Load(), nil
}

// body stops the timers of an answer when its body has been read.
type body struct {
	io.ReadCloser
	end func()
}

// Close closes the answer (io.Closer).
func (b *body) Close() error {
	defer b.end()
	return b.ReadCloser.Close()
}

// load reads the request's body up to the limit, so that it can be sent twice. whole is
// false if it is larger; then it is streamed, once. On an error the client did not send
// it completely.
func (f *forward) load(w http.ResponseWriter, r *http.Request, most int64) error {
	if r.Body == nil || r.Body == http.NoBody {
		f.whole, f.body = true, func() io.Reader { return http.NoBody }
		return nil
	}
	_ = http.NewResponseController(w).SetReadDeadline(time.Now().Add(bodyWithin))
	kept, err := io.ReadAll(io.LimitReader(r.Body, most+1))
	if err != nil {
		return err
	}
	if f.whole = int64(len(kept)) <= most; !f.whole {
		rest := io.MultiReader(bytes.NewReader(kept), r.Body)
		f.body = func() io.Reader { return rest }
		return nil
	}
	f.body = func() io.Reader { return bytes.NewReader(kept) }
	return nil
}
