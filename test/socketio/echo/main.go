// Echo is a server of Engine.IO and Socket.IO that sends back each message, for the public
// conformance suites of the two protocols.
//
//	go run ./test/socketio/echo --addr :3000
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/spf13/pflag"

	"example.com/chat/internal/engineio"
	"example.com/chat/internal/socketio"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Args[1:], os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "echo:", err)
		os.Exit(1)
	}
}

// run serves until the context is done. It writes its URL to out.
func run(ctx context.Context, args []string, out io.Writer) error {
	flags := pflag.NewFlagSet("echo", pflag.ContinueOnError)
	addr := flags.String("addr", ":3000", "the address to listen on")
	pong := flags.Duration("ping-timeout", 200*time.Millisecond, "how long a client may take to answer a ping")
	connect := flags.Duration("connect-timeout", time.Second, "how long a client may take to connect to a namespace")
	if err := flags.Parse(args); err != nil {
		if errors.Is(err, pflag.ErrHelp) {
			return nil
		}
		return err
	}
	listener, err := net.Listen("tcp", *addr)
	if err != nil {
		return fmt.Errorf("listen on %q: %w", *addr, err)
	}
	engine, sockets := servers(*pong, *connect)
	defer engine.Close()
	defer sockets.Close()
	mux := http.NewServeMux()
	mux.Handle("/engine.io/", engine)
	mux.Handle("/socket.io/", sockets)
	web := &http.Server{Handler: mux, ReadHeaderTimeout: headerWithin}
	stopped := context.AfterFunc(ctx, func() { _ = web.Close() })
	defer stopped()
	fmt.Fprintf(out, "listening on http://%s\n", listener.Addr())
	if err := web.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("serve: %w", err)
	}
	return nil
}

// headerWithin is how long a request's headers may take.
const headerWithin = 5 * time.Second

// The suites expect these, and the defaults of the flags.
const (
	pingInterval = 300 * time.Millisecond
	maxPayload   = 1_000_000
)

func servers(pingTimeout, connectTimeout time.Duration) (*engineio.Server, *socketio.Server) {
	config := engineio.Config{
		AnyOrigin:    true,
		PingInterval: pingInterval,
		PingTimeout:  pingTimeout,
		MaxPayload:   maxPayload,
		Open: func(s *engineio.Session, _ *http.Request, _ any) engineio.Handler {
			return messages{s}
		},
	}
	engine := engineio.NewServer(config)
	config.Open = nil
	sockets := socketio.NewServer(socketio.Config{Engine: config, ConnectTimeout: connectTimeout}, map[string]socketio.ConnectFunc{
		"/":       enter,
		"/custom": enter,
	})
	return engine, sockets
}

// messages sends back messages of Engine.IO.
type messages struct{ session *engineio.Session }

// Message sends a message back (engineio.Handler).
func (m messages) Message(data []byte, binary bool) {
	if binary {
		m.session.Answer(engineio.Binary(data))
	} else {
		m.session.Answer(engineio.Text(data))
	}
}

// Closed does nothing (engineio.Handler).
func (messages) Closed(engineio.Reason) {}

// enter accepts each client, and sends its auth payload back.
func enter(s *socketio.Socket, auth jsontext.Value) (socketio.Handler, *socketio.Refusal) {
	if auth == nil {
		auth = jsontext.Value("{}")
	}
	s.Answer(socketio.EncodeRaw(s.Namespace(), "auth", []jsontext.Value{auth}, nil))
	return events{s}, nil
}

// events sends back events of Socket.IO.
type events struct{ socket *socketio.Socket }

// Event sends an event back, or acknowledges it (socketio.Handler).
func (e events) Event(event *socketio.Event) {
	switch event.Name {
	case "message":
		e.socket.Answer(socketio.EncodeRaw(e.socket.Namespace(), "message-back", event.Args, event.Attachments))
	case "message-with-ack":
		if ack, ok := event.Ack(); ok {
			ack.SendRaw(event.Args, event.Attachments)
		}
	}
}

// Disconnected does nothing (socketio.Handler).
func (events) Disconnected(socketio.Reason) {}
