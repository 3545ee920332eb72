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

// site is a Server that tests talk to. Its namespaces let everybody in but who has
// no name, in "/named".
type site struct {
	*Server
	t       testing.TB
	url     string
	sockets chan *Socket
	events  chan string // what handlers were told
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

// recorder tells the site what its socket brings, and mirrors it.
type recorder struct {
	site   *site
	socket *Socket
}

func (r *recorder) Event(e *Event) {
	r.site.events <- r.socket.Namespace() + " " + e.Name
	if e.Name == "panic" {
		panic("told to")
	}
	if ack, ok := e.Ack(); ok {
		ack.SendRaw(e.Args, e.Attachments)
		return
	}
	r.socket.Answer(EncodeRaw(r.socket.Namespace(), "back", e.Args, e.Attachments))
}

func (r *recorder) Disconnected(reason Reason) {
	r.site.events <- r.socket.Namespace() + " gone: " + string(reason)
}

// told waits for what handlers are told.
func (s *site) told(want string) {
	s.t.Helper()
	select {
	case got := <-s.events:
		if got != want {
			s.t.Fatalf("want %q, a handler was told %q", want, got)
		}
	case <-time.After(chattest.Patience):
		s.t.Fatalf("no handler was told %q", want)
	}
}

// open opens a connection that is connected to nothing.
func (s *site) open() *wiretest.Socket {
	s.t.Helper()
	c := wiretest.Dial(s.t, s.url+"polling")
	wiretest.ParseHello(s.t, c.Next())
	return c
}

// connected opens one that is connected to "/", and returns the server's side too.
func (s *site) connected() (*wiretest.Socket, *Socket) {
	s.t.Helper()
	c := s.open()
	c.Sends("40")
	socket := <-s.sockets
	c.Wants(`40{"sid":"` + socket.ID() + `"}`)
	return c, socket
}
