package socketio

import (
	"bytes"
	"errors"
	"net/http"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"example.com/chat/internal/chattest"
	"example.com/chat/internal/engineio"
	"example.com/chat/test/socketio/wiretest"
)

func TestConnect(t *testing.T) {
	t.Parallel()
	s := serve(t, Config{})
	c, socket := s.connected()
	if len(socket.ID())*6 < 120 || socket.Namespace() != "/" || socket.Transport() != "websocket" {
		t.Errorf("got %q %q %q", socket.ID(), socket.Namespace(), socket.Transport())
	}
	c.Sends("40/other,")
	other := <-s.sockets
	c.Wants(`40/other,{"sid":"` + other.ID() + `"}`)
	if other.ID() == socket.ID() {
		t.Error("two sockets have the same id")
	}
	c.Sends("40/nowhere")
	c.Wants(`44/nowhere,{"message":"Invalid namespace"}`)
	c.Sends("40/named,{}")
	c.Wants(`44/named,{"message":"who are you?","data":{"want":"name"}}`)
	c.Sends(`40/named,{"name":"Ann"}`) // again
	named := <-s.sockets
	// Events that were sent before the decision follow the confirmation.
	c.Wants(`40/named,{"sid":"`+named.ID()+`"}`, `42/named,["early",1]`, `42/named,["welcome",{"name":"Ann"}]`)
	if st := s.Stats(); st.Sockets != 3 || st.Refused != 2 || st.Broken != 0 {
		t.Errorf("stats %+v", st)
	}
	c.Sends("41/other,")
	s.handled("/other disconnected: client namespace disconnect")
	c.Sends(`42["a"]`)
	s.handled("/ a")
	c.Wants(`42["back"]`)
	_ = c.Close()
	s.handled("/ disconnected: transport close")
	s.handled("/named disconnected: transport close")
	chattest.Eventually(t, "no sockets", func() bool { return s.Stats().Sockets == 0 })
}

func TestEventsAndAcknowledgementsOfClients(t *testing.T) {
	t.Parallel()
	s := serve(t, Config{})
	c, _ := s.connected()
	c.Sends(`42["a",1,"2",{"3":[true]}]`)
	c.Wants(`42["back",1,"2",{"3":[true]}]`)
	c.Sends(`42456["a",1,"2",{"3":[false]}]`, `420["a"]`)
	c.Wants(`43456[1,"2",{"3":[false]}]`, `430[]`)
	c.Sends(`452-["a",{"_placeholder":true,"num":0},{"x":{"_placeholder":true,"num":1}}]`)
	c.SendsBinary("\x01\x02", "")
	c.Wants(`452-["back",{"_placeholder":true,"num":0},{"x":{"_placeholder":true,"num":1}}]`, "b:\x01\x02", "b:")
	c.Sends(`451-789["a",{"_placeholder":true,"num":0}]`)
	c.SendsBinary("\xff")
	c.Wants(`461-789[{"_placeholder":true,"num":0}]`, "b:\xff")
}

func TestEventsByPolling(t *testing.T) {
	t.Parallel()
	s := serve(t, Config{})
	url := wiretest.Open(t, s.url)
	wiretest.Wants(t, "POST", url, "40", 200, "ok")
	socket := <-s.sockets
	wiretest.Wants(t, "GET", url, "", 200, `40{"sid":"`+socket.ID()+`"}`)
	wiretest.Wants(t, "POST", url, `42["a",1]`+"\x1e"+`451-7["a",{"_placeholder":true,"num":0}]`+"\x1ebAQI=", 200, "ok")
	wiretest.Wants(t, "GET", url, "", 200, `42["back",1]`+"\x1e"+`461-7[{"_placeholder":true,"num":0}]`+"\x1ebAQI=")
	if err := socket.Emit("b", []byte{3}); err != nil {
		t.Fatal(err)
	}
	wiretest.Wants(t, "GET", url, "", 200, `451-["b",{"_placeholder":true,"num":0}]`+"\x1ebAw==")
	wiretest.Wants(t, "POST", url, "41", 200, "ok")
	for _, want := range []string{"/ a", "/ a", "/ disconnected: client namespace disconnect"} {
		s.handled(want)
	}
}

func TestOneEncodedEventGoesToManyByWhateverTheyAreConnected(t *testing.T) {
	s := serve(t, Config{})
	url := wiretest.Open(t, s.url)
	wiretest.Wants(t, "POST", url, "40", 200, "ok")
	polling := <-s.sockets
	wiretest.Wants(t, "GET", url, "", 200, `40{"sid":"`+polling.ID()+`"}`)
	c, socket := s.connected()
	e := EncodeRaw("/", "m", []jsontext.Value{jsontext.Value(`{"n":1}`)}, [][]byte{{9}})
	allocs := testing.AllocsPerRun(100, func() { polling.Send(e) })
	if allocs > 1 { // when the queue grows
		t.Errorf("sending an encoded event allocates %v times", allocs)
	}
	wiretest.Do(t, "GET", url, "")
	polling.Send(e)
	socket.Send(e)
	wiretest.Wants(t, "GET", url, "", 200, `451-["m",{"n":1}]`+"\x1ebCQ==")
	c.Wants(`451-["m",{"n":1}]`, "b:\t")
}

func TestAcknowledgementsOfServers(t *testing.T) {
	t.Parallel()
	s := serve(t, Config{MaxPendingAcks: 2})
	c, socket := s.connected()
	got := make(chan string, 10)
	done := func(r Reply, err error) {
		if err != nil {
			got <- err.Error()
			return
		}
		got <- string(bytes.Join([][]byte{r.Args[0], bytes.Join(r.Attachments, nil)}, []byte(" ")))
	}
	ask := func(within time.Duration) error { return socket.EmitWithAck(within, done, "q", 1) }
	if err := errors.Join(ask(time.Minute), ask(time.Minute)); err != nil {
		t.Fatal(err)
	}
	if err := ask(time.Minute); !errors.Is(err, ErrTooManyAcks) {
		t.Errorf("a third call: %v", err)
	}
	c.Wants(`420["q",1]`, `421["q",1]`)
	c.Sends(`461-1[{"_placeholder":true,"num":0}]`)
	c.SendsBinary("x")
	c.Sends(`431["twice"]`, `4399["unknown"]`, `430["zero"]`)
	if a, b := <-got, <-got; a != `{"_placeholder":true,"num":0} x` || b != `"zero" ` {
		t.Errorf("got %q, %q", a, b)
	}
	_ = ask(time.Millisecond)
	if err := <-got; err != ErrTimeout.Error() {
		t.Errorf("got %q", err)
	}
	c.Wants(`422["q",1]`)
	c.Sends(`432["late"]`)
	_ = ask(time.Minute)
	c.Wants(`423["q",1]`)
	_ = c.Close()
	if err := <-got; err != ErrDisconnected.Error() {
		t.Errorf("got %q", err)
	}
	s.handled("/ disconnected: transport close")
	if err := ask(time.Minute); !errors.Is(err, ErrDisconnected) {
		t.Errorf("after the end: %v", err)
	}
	if err := socket.EmitWithAck(time.Minute, done, "connect"); err == nil {
		t.Error("a reserved name was accepted")
	}
	if len(got) != 0 {
		t.Errorf("done was called once more: %s", <-got)
	}
}

// TestWhatIsNoPacketClosesTheConnection includes what attackers would send.
func TestWhatIsNoPacketClosesTheConnection(t *testing.T) {
	t.Parallel()
	s := serve(t, Config{MaxBinary: 1000})
	for name, send := range map[string]func(c *wiretest.Socket){
		"an unknown type":                func(c *wiretest.Socket) { c.Sends("4abc") },
		"an empty message":               func(c *wiretest.Socket) { c.Sends("4") },
		"invalid JSON":                   func(c *wiretest.Socket) { c.Sends(`42["a"`) },
		"an object for an event":         func(c *wiretest.Socket) { c.Sends(`42{}`) },
		"an event without a name":        func(c *wiretest.Socket) { c.Sends(`42[]`) },
		"a reserved name":                func(c *wiretest.Socket) { c.Sends(`42["disconnect"]`) },
		"another reserved name":          func(c *wiretest.Socket) { c.Sends(`42["__proto__"]`) },
		"an invalid ack id":              func(c *wiretest.Socket) { c.Sends(`42abc["a"]`) },
		"an ack id of 1,000 digits":      func(c *wiretest.Socket) { c.Sends("42" + strings.Repeat("9", 1000) + `["a"]`) },
		"a second connect":               func(c *wiretest.Socket) { c.Sends("40") },
		"a connect error":                func(c *wiretest.Socket) { c.Sends(`44{"message":"x"}`) },
		"an event for another namespace": func(c *wiretest.Socket) { c.Sends(`42/other,["a"]`) },
		"a binary event for another":     func(c *wiretest.Socket) { c.Sends(`451-/other,["a",{"_placeholder":true,"num":0}]`) },
		"a disconnect of another":        func(c *wiretest.Socket) { c.Sends("41/other") },
		"an ack for another namespace":   func(c *wiretest.Socket) { c.Sends(`43/other,1[]`) },
		"binary without an event":        func(c *wiretest.Socket) { c.SendsBinary("x") },
		"no attachments announced":       func(c *wiretest.Socket) { c.Sends(`450-["a"]`) },
		"10,000 attachments announced":   func(c *wiretest.Socket) { c.Sends(`4510000-["a"]`) },
		"a placeholder out of range":     func(c *wiretest.Socket) { c.Sends(`451-["a",{"_placeholder":true,"num":1}]`) },
		"text in place of an attachment": func(c *wiretest.Socket) { c.Sends(`451-["a"]`, `42["a"]`) },
		"one attachment too many": func(c *wiretest.Socket) {
			c.Sends(`451-["a",{"_placeholder":true,"num":0}]`)
			c.SendsBinary("x", "y")
		},
		"attachments that are too large": func(c *wiretest.Socket) {
			c.Sends(`452-["a"]`)
			c.SendsBinary(strings.Repeat("x", 600), strings.Repeat("x", 600))
		},
	} {
		broken := s.Stats().Broken
		c, _ := s.connected()
		send(c)
		c.Closes()
		for got := ""; got != "/ disconnected: parse error"; {
			if got = <-s.events; got != "/ a" && got != "/ disconnected: parse error" {
				t.Errorf("%s: a handler got the call %q", name, got)
			}
		}
		if s.Stats().Broken != broken+1 {
			t.Errorf("%s: stats %+v", name, s.Stats())
		}
	}
	// Before any connect.
	for _, packet := range []string{`42["a"]`, "41", "43[]", "4abc", "40[]"} {
		c := s.open()
		c.Sends(packet)
		c.Closes()
	}
	// By polling.
	url := wiretest.Open(t, s.url)
	wiretest.Wants(t, "POST", url, "4abc", 200, "ok") // it is a valid packet of Engine.IO
	if status, _ := wiretest.Do(t, "GET", url, ""); status != 400 {
		t.Errorf("after a bad packet: %d", status)
	}
}

func TestAttachmentsThatNeverComeCloseTheConnection(t *testing.T) {
	t.Parallel()
	s := serve(t, Config{AttachmentTime: 50 * time.Millisecond})
	c, _ := s.connected()
	c.Sends(`452-["a",{"_placeholder":true,"num":0}]`)
	c.SendsBinary("x")
	c.Closes()
	s.handled("/ disconnected: parse error")
}

func TestAConnectionThatConnectsToNothingIsClosed(t *testing.T) {
	t.Parallel()
	s := serve(t, Config{ConnectTimeout: 500 * time.Millisecond})
	c := s.open()
	c.Sends("40/nowhere", "40/named,{}") // refusals do not extend the time
	url := wiretest.Open(t, s.url)
	c.Closes()
	chattest.Eventually(t, "the end of the polling connection", func() bool { return s.Stats().Engine.Open == 0 })
	if status, _ := wiretest.Do(t, "GET", url, ""); status != 400 {
		t.Errorf("got %d", status)
	}
	// A connection that was connected to a namespace stays open after it left.
	c, _ = s.connected()
	c.Sends("41")
	s.handled("/ disconnected: client namespace disconnect")
	stays := time.NewTimer(time.Second)
	for alive := true; alive; {
		c.Sends("40/nowhere")
		c.Wants(`44/nowhere,{"message":"Invalid namespace"}`)
		select {
		case <-stays.C:
			alive = false
		default:
		}
	}
}

func TestTheServerDisconnects(t *testing.T) {
	t.Parallel()
	s := serve(t, Config{})
	c, socket := s.connected()
	c.Sends("40/other")
	other := <-s.sockets
	c.Wants(`40/other,{"sid":"` + other.ID() + `"}`)
	socket.Disconnect()
	socket.Disconnect()
	_ = socket.Emit("too late")
	c.Wants("41")
	s.handled("/ disconnected: server namespace disconnect")
	c.Sends(`42/other,["a"]`)
	c.Wants(`42/other,["back"]`)
	s.handled("/other a")
	other.Disconnect()
	other.Close(4003, "kicked")
	c.Wants("41/other,")
	if got := c.Closes(); got.Code != 4003 || got.Text != "kicked" {
		t.Errorf("got %v", got)
	}
	if got := <-s.events; !strings.HasPrefix(got, "/other disconnected: ") {
		t.Errorf("a handler got the call %q", got)
	}
}

func TestASocketThatIsDisconnectedWhileItConnects(t *testing.T) {
	t.Parallel()
	s := serve(t, Config{})
	s.namespaces["/brief"] = func(socket *Socket, _ jsontext.Value) (Handler, *Refusal) {
		_ = socket.Emit("bye")
		socket.Disconnect()
		return &recorder{s, socket}, nil
	}
	c := s.open()
	c.Sends("40/brief")
	if got := c.Event(); !strings.HasPrefix(got, `40/brief,{"sid":`) {
		t.Errorf("got %q", got)
	}
	c.Wants(`42/brief,["bye"]`, "41/brief,")
	s.handled("/brief disconnected: server namespace disconnect")
}

func TestAPanicOfAHandlerEndsItsConnectionAlone(t *testing.T) {
	t.Parallel()
	s := serve(t, Config{})
	other, _ := s.connected()
	c, _ := s.connected()
	c.Sends(`42["panic"]`)
	c.Closes()
	s.handled("/ panic")
	s.handled("/ disconnected: forced close")
	other.Sends(`42["a"]`)
	other.Wants(`42["back"]`)
}

func TestAdmittedGoesToTheSocket(t *testing.T) {
	t.Parallel()
	type closer = func(int, string)
	opened, ended := make(chan closer, 1), make(chan any, 1)
	s := serve(t, Config{
		Engine: engineio.Config{Admit: func(_ http.ResponseWriter, r *http.Request) (any, bool) {
			return r.URL.Query().Get("who"), true
		}},
		Opened: func(_ any, end func(int, string)) { opened <- end },
		Ended:  func(admitted any) { ended <- admitted },
	})
	c := wiretest.Dial(t, s.url+"polling&who=bob")
	wiretest.ParseHello(t, c.Next())
	(<-opened)(1013, "too many are silent")
	if got := c.Closes(); got.Code != 1013 {
		t.Errorf("got %v", got)
	}
	if got := <-ended; got != "bob" {
		t.Errorf("got %v", got)
	}
	c = wiretest.Dial(t, s.url+"polling&who=ann")
	wiretest.ParseHello(t, c.Next())
	c.Sends("40")
	if socket := <-s.sockets; socket.Admitted() != "ann" {
		t.Errorf("got %v", socket.Admitted())
	}
}

// TestConnectionsThatNeverConnectCostLittle measures the memory of a thousand connections that
// send no connect, and checks that they end after the timeout.
func TestConnectionsThatNeverConnectCostLittle(t *testing.T) {
	s := serve(t, Config{ConnectTimeout: 5 * time.Second})
	wiretest.Open(t, s.url)
	http.DefaultClient.CloseIdleConnections()
	before, goroutines := heap(), runtime.NumGoroutine()
	const count = 1000
	for range count {
		wiretest.Open(t, s.url)
	}
	http.DefaultClient.CloseIdleConnections()
	chattest.Eventually(t, "the end of the goroutines", func() bool { return runtime.NumGoroutine() <= goroutines+5 })
	each := (int64(heap()) - int64(before)) / count
	t.Logf("a connection without a connect costs %d bytes, and no goroutine", each)
	if each > 4096 {
		t.Errorf("a connection costs %d bytes", each)
	}
	chattest.Eventually(t, "the end of all connections", func() bool { return s.Stats().Engine.Open == 0 })
}

func heap() uint64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}
