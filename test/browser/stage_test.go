package browser

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gorilla/websocket"

	"example.com/chat/web"
)

// person is a user as the wire has one.
type person struct {
	ID   string `json:"id"`
	Name string `json:"name"`
}

// said is an entry of a room's log as the wire has it.
type said struct {
	Type   string `json:"type,omitempty"`
	ID     string `json:"id"`
	Room   string `json:"room"`
	Key    string `json:"key"`
	User   person `json:"user"`
	Text   string `json:"text,omitempty"`
	Time   int64  `json:"time"`
	Node   string `json:"node"`
	Kind   string `json:"kind,omitempty"`
	Target string `json:"target,omitempty"`
	Emoji  string `json:"emoji,omitempty"`
	On     bool   `json:"on,omitempty"`
}

// server is one that a node tells of.
type server struct {
	ID  string `json:"id"`
	URL string `json:"url"`
}

// stage is a node with a script: it serves the real pages, and says to them
// whatever a test wants, also what no honest node would.
type stage struct {
	URL string

	// What it tells; set before the first page comes.
	me      person
	id      string
	nodes   []server
	members []person
	count   int
	rooms   []map[string]any // the first page of them
	others  []map[string]any // the second; nil where there is none
	more    bool             // whether it says that more follows a join
	refuse  string           // its words to whoever sends; "" to take what is sent
	readyz  string           // what it answers there; "" for 404
	late    chan struct{}    // the page's script is sent once it is closed; nil to send it at once

	mu    sync.Mutex // guards the fields below, and the writing to conns
	logs  map[string][]said
	conns map[*websocket.Conn]map[string]bool // the rooms that each page joined, once it was welcomed
	away  bool                                // takes no connection
	mute  bool                                // answers no sends
	ice   bool                                // answers nothing, and keeps its connections
	holds bool                                // answers for history wait in held
	lost  int                                 // so many requests for scripts that come later fail
	down  bool                                // serves no page
	slow  chan struct{}                       // scripts that come later are sent once it is closed; nil to send them at once
	held  []func()
}

func newStage(t *testing.T) *stage { return newStageThatShows(t, "demo") }

// newStageThatShows is newStage with a look: "demo" or "plain".
func newStageThatShows(t *testing.T, ui string) *stage {
	t.Helper()
	s := &stage{
		me: person{"u-me", "Ann"}, id: "n1", rooms: []map[string]any{},
		logs: make(map[string][]said), conns: make(map[*websocket.Conn]map[string]bool),
	}
	pages := web.Handler(web.Access{UI: ui})
	mux := http.NewServeMux()
	mux.HandleFunc("/ws", s.serve)
	mux.HandleFunc("/readyz", func(w http.ResponseWriter, r *http.Request) {
		if s.readyz == "" {
			http.NotFound(w, r)
			return
		}
		fmt.Fprint(w, s.readyz)
	})
	mux.HandleFunc("/assets/app.js", func(w http.ResponseWriter, r *http.Request) {
		if s.late != nil {
			<-s.late
		}
		pages.ServeHTTP(w, r)
	})
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		if s.loses(r) {
			http.NotFound(w, r)
			return
		}
		pages.ServeHTTP(w, r)
	})
	server := httptest.NewServer(mux)
	s.URL = server.URL
	t.Cleanup(func() {
		s.leave()
		server.CloseClientConnections()
		server.Close()
	})
	return s
}

// loses reports whether a request for a page, or for a script that comes later, is to
// fail; one for a script may wait.
func (s *stage) loses(r *http.Request) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !strings.HasPrefix(r.URL.Path, "/assets/extras-") && !strings.HasPrefix(r.URL.Path, "/assets/emoji-") {
		return s.down && r.URL.Path == "/"
	}
	if slow := s.slow; slow != nil {
		s.mu.Unlock()
		<-slow
		s.mu.Lock()
	}
	if s.lost == 0 {
		return false
	}
	s.lost--
	return true
}

// loads sets how requests for scripts that come later go: so many fail, and each waits
// until slow is closed; nil for no wait.
func (s *stage) loads(lost int, slow chan struct{}) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.lost, s.slow = lost, slow
}

// add puts an entry at the end of a room's log, before or while pages look.
func (s *stage) add(e said) said {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.addLocked(e)
}

func (s *stage) addLocked(e said) said {
	seq := len(s.logs[e.Room]) + 1
	if e.Time == 0 {
		e.Time = time.Now().UnixMilli()
	}
	if e.ID == "" {
		e.ID = fmt.Sprintf("%d-%d", e.Time, seq)
	}
	if e.Key == "" {
		e.Key = "k-" + e.ID
	}
	if e.Node == "" {
		e.Node = s.id
	}
	s.logs[e.Room] = append(s.logs[e.Room], e)
	e.Type = "message"
	for c, rooms := range s.conns {
		if rooms[e.Room] {
			_ = c.WriteJSON(e) // a page that is gone is gone
		}
	}
	return e
}

// joined returns how many pages are in a room, or are welcomed at all if room is "".
func (s *stage) joined(room string) (n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, rooms := range s.conns {
		if room == "" || rooms[room] {
			n++
		}
	}
	return n
}

// hold keeps the answers for history back, or gives those that were.
func (s *stage) hold(holds bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.holds = holds
	for _, give := range s.held {
		give()
	}
	s.held = nil
}

// tell says something to all pages, as it stands.
func (s *stage) tell(v any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.tellLocked(v)
}

func (s *stage) tellLocked(v any) {
	for c := range s.conns {
		_ = c.WriteJSON(v) // a page that is gone is gone
	}
}

// freeze makes it a node that stands still: it answers nothing any more.
func (s *stage) freeze() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ice = true
}

// leave ends all connections and takes no more.
func (s *stage) leave() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.away = true
	for c := range s.conns {
		_ = c.Close()
	}
}

func (s *stage) serve(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	away := s.away
	s.mu.Unlock()
	if away {
		http.Error(w, "away", http.StatusServiceUnavailable)
		return
	}
	up := websocket.Upgrader{CheckOrigin: func(*http.Request) bool { return true }}
	c, err := up.Upgrade(w, r, nil)
	if err != nil {
		return
	}
	defer c.Close()
	defer func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		delete(s.conns, c)
	}()
	for {
		var command map[string]any
		_, frame, err := c.ReadMessage()
		if err != nil || json.Unmarshal(frame, &command) != nil {
			return
		}
		s.obey(c, command)
	}
}

// obey answers one command.
func (s *stage) obey(c *websocket.Conn, command map[string]any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ice {
		return
	}
	room, _ := command["room"].(string)
	text := func(name string) string { v, _ := command[name].(string); return v }
	answer := func(v map[string]any) {
		if ref, ok := command["ref"]; ok {
			v["ref"] = ref
		}
		_ = c.WriteJSON(v) // a page that is gone is gone
	}
	switch command["type"] {
	case "hello":
		s.conns[c] = make(map[string]bool)
		nodes := append([]server{{s.id, s.URL}}, s.nodes...)
		answer(map[string]any{
			"type": "welcome", "user": s.me, "token": "t", "node": nodes[0], "nodes": nodes,
			"limits": map[string]int{"text": 4000, "rooms": 100, "rate": 10, "burst": 30}, "version": 1,
		})
	case "leave":
		delete(s.conns[c], room)
	case "join":
		if rooms := s.conns[c]; rooms != nil {
			rooms[room] = true
		}
		log := s.logs[room]
		head := "0-0"
		if len(log) > 0 {
			head = log[len(log)-1].ID
		}
		if s.more { // the last one is on its way
			log = log[:max(0, len(log)-1)]
		}
		answer(map[string]any{
			"type": "joined", "room": room, "head": head, "recovered": false, "messages": entries(log[max(0, len(log)-50):]),
			"more": s.more, "members": append([]person{s.me}, s.members...), "count": max(s.count, 1+len(s.members)),
		})
	case "history":
		log := s.logs[room]
		end := len(log)
		for i, e := range log {
			if e.ID == text("before") {
				end = i
			}
		}
		limit, _ := command["limit"].(float64)
		from := max(0, end-int(limit))
		give := func() {
			answer(map[string]any{"type": "history", "room": room, "messages": entries(log[from:end]), "more": from > 0})
		}
		if s.holds {
			s.held = append(s.held, give)
			return
		}
		give()
	case "rooms":
		page := map[string]any{"type": "rooms", "rooms": s.rooms}
		switch {
		case text("after") == "second":
			page["rooms"] = s.others
		case s.others != nil:
			page["next"] = "second"
		}
		answer(page)
	case "send", "edit", "delete", "react":
		if s.refuse != "" {
			answer(map[string]any{"type": "error", "code": "forbidden", "message": s.refuse, "room": room, "key": text("key")})
			return
		}
		if s.mute {
			return
		}
		kind := text("type")
		if kind == "send" {
			kind = ""
		}
		on, _ := command["on"].(bool)
		e := s.addLocked(said{Room: room, Key: text("key"), User: s.me, Kind: kind, Text: text("text"), Target: text("target"), Emoji: text("emoji"), On: on})
		answer(map[string]any{"type": "sent", "room": room, "key": e.Key, "id": e.ID, "time": e.Time, "duplicate": false})
	case "rename":
		s.me.Name = text("name")
		answer(map[string]any{"type": "renamed", "user": s.me})
	case "ping":
		answer(map[string]any{"type": "pong"})
	}
}

// entries is never null on the wire.
func entries(list []said) []said { return append([]said{}, list...) }
