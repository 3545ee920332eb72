package socketio

import (
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"example.com/chat/internal/chattest"
	"example.com/chat/test/socketio/wiretest"
)

// site is a Server that tests connect to. Its namespaces accept all clients; "/named" accepts
// those with a name.
type site struct {
	*Server
	t       testing.TB
	url     string
	sockets chan *Socket
	events  chan string // calls of handlers
}

func serve(t testing.TB, cfg Config) *site {
	t.Helper()
	s := &site{t: t, sockets: make(chan *Socket, 1000), events: make(chan string, 10_000)}
	s.Server = NewServer(cfg, map[string]ConnectFunc{"/": s.connect, "/other": s.connect, "/named": s.named})
	web := httptest.NewServer(s.Server)
	s.url = web.URL + "/socket.io/?EIO=4&transport="
	t.Cleanup(func() {
		s.Close()
		web.Close()
	})
	return s
}

func (s *site) connect(socket *Socket, _ jsontext.Value) (Handler, *Refusal) {
	s.sockets <- socket
	return &recorder{s, socket}, nil
}

func (s *site) named(socket *Socket, auth jsontext.Value) (Handler, *Refusal) {
	_ = socket.Emit("early", 1)
	if !strings.Contains(string(auth), "name") {
		return nil, &Refusal{Message: "who are you?", Data: jsontext.Value(`{"want":"name"}`)}
	}
	_ = socket.Emit("welcome", auth.Clone())
	return s.connect(socket, auth)
}

// recorder reports events to the site, and sends them back.
type recorder struct {
	site   *site
	socket *Socket
}

func (r *recorder) Event(e *Event) {
	r.site.events <- r.socket.Namespace() + " " + e.Name
	if e.Name == "panic" {
		panic("the client asked for it")
	}
	if ack, ok := e.Ack(); ok {
		ack.SendRaw(e.Args, e.Attachments)
		return
	}
	r.socket.Answer(EncodeRaw(r.socket.Namespace(), "back", e.Args, e.Attachments))
}

func (r *recorder) Disconnected(reason Reason) {
	r.site.events <- r.socket.Namespace() + " disconnected: " + string(reason)
}

// handled waits for the next call of a handler, and checks it.
func (s *site) handled(want string) {
	s.t.Helper()
	select {
	case got := <-s.events:
		if got != want {
			s.t.Fatalf("want the call %q of a handler, got %q", want, got)
		}
	case <-time.After(chattest.Patience):
		s.t.Fatalf("no handler got the call %q", want)
	}
}

// open opens a connection without a socket.
func (s *site) open() *wiretest.Socket {
	s.t.Helper()
	c := wiretest.Dial(s.t, s.url+"polling")
	wiretest.ParseHello(s.t, c.Next())
	return c
}

// connected opens a connection, connects it to "/", and returns both sides.
func (s *site) connected() (*wiretest.Socket, *Socket) {
	s.t.Helper()
	c := s.open()
	c.Sends("40")
	socket := <-s.sockets
	c.Wants(`40{"sid":"` + socket.ID() + `"}`)
	return c, socket
}
