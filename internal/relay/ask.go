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

// How long the parts of a request to another node may take. A poll waits for a long
// time, rightly: so its owner says at once (102 Processing) that it has it, and
// what happens to the connection later is TCP's to notice.
const (
	dialWithin = 2 * time.Second
	// acceptWithin is how long an owner may take to say that it has a request, the
	// dialing included.
	acceptWithin = 3 * time.Second
	// postWithin is how long it may take then to answer a POST, and bodyWithin how
	// long the answer's body may take, and that of the request to come.
	postWithin = 10 * time.Second
	bodyWithin = 10 * time.Second
	// deadAfter is how long the other side's machine may leave what it was sent
	// unconfirmed, and probes are sent when a connection is quiet for probeAfter.
	deadAfter  = 5 * time.Second
	probeAfter = 5 * time.Second
	probeEvery = 2 * time.Second
	probeCount = 3
)

// Errors of an owner that does not do its part.
var (
	errRefused     = errors.New("another node is at this address: see --peer-addr")
	errNotAccepted = fmt.Errorf("the node did not take the request within %s", acceptWithin)
	errNoAnswer    = errors.New("the node took the request and did not answer in time")
)

// dialer makes connections to other nodes, which are given up soon when the other
// machine is gone.
var dialer = net.Dialer{
	Timeout:         dialWithin,
	KeepAliveConfig: net.KeepAliveConfig{Enable: true, Idle: probeAfter, Interval: probeEvery, Count: probeCount},
	Control:         func(_, _ string, c syscall.RawConn) error { return c.Control(setDeadAfter) },
}

// asker sends requests to their owners (http.RoundTripper).
type asker struct{ *Relay }

// RoundTrip sends a request, and once more where the connection was one that had
// rested, or broke: the owner knows by the number of the first that it is the same.
func (a asker) RoundTrip(out *http.Request) (*http.Response, error) {
	f, _ := out.Context().Value(forwardKey{}).(*forward)
	s := seal{from: a.cfg.Tag, number: a.count.Add(1), client: f.client, scheme: f.scheme}
	answer, reused, err := a.try(out, f, s)
	var broken net.Error
	late := errors.Is(err, errNotAccepted) || errors.Is(err, errNoAnswer) || errors.As(err, &broken) && broken.Timeout()
	if err == nil || out.Context().Err() != nil || !f.whole || isDial(err) || late && !reused {
		return answer, err
	}
	a.transport.CloseIdleConnections() // the others are of the same age
	s.first, s.number = s.number, a.count.Add(1)
	answer, _, err = a.try(out, f, s)
	return answer, err
}

// isDial reports whether a node could not even be reached.
func isDial(err error) bool {
	var op *net.OpError
	return errors.As(err, &op) && op.Op == "dial"
}

// try sends a request once. reused tells that it went over a connection that had
// been used before.
func (a asker) try(out *http.Request, f *forward, s seal) (answer *http.Response, reused bool, err error) {
	// A context of its own: ReverseProxy's would pass 102 on to the client.
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
	// A body that net/http can't have again keeps it from repeating the request
	// under the same number.
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

// body ends what watches over an answer when that has been read.
type body struct {
	io.ReadCloser
	end func()
}

// Close closes the answer (io.Closer).
func (b *body) Close() error {
	defer b.end()
	return b.ReadCloser.Close()
}

// load reads the request's body as far as it may be kept, so that it can be sent
// twice; whole is false where it is larger: then it goes on as it comes, once. On
// an error the client has not sent it whole.
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
