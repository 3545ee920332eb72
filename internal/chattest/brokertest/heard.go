package brokertest

import (
	"fmt"
	"sync"
	"testing"

	"example.com/chat/internal/chattest"
	"example.com/chat/internal/protocol"
	"example.com/chat/internal/room"
)

// Heard is what a broker has delivered. Read its fields in Has or Note.
type Heard struct {
	mu sync.Mutex // guards the fields below

	// Live are the deliveries that concern a room, one text each; it begins with the
	// room's name. News are those that concern all rooms.
	Live, News []string
	// Entries are all entries that were delivered.
	Entries []protocol.Entry
	// Following counts the calls of Following, and Followed names their rooms.
	Following int
	Followed  []string
	// Lost counts the calls of Lost.
	Lost int
	// Up is the last value of Reachable.
	Up bool
}

// Feed returns the feed that the broker delivers to.
func (h *Heard) Feed() room.Feed { return feed{h} }

// Note calls f, during which nothing is delivered.
func (h *Heard) Note(f func()) {
	h.mu.Lock()
	defer h.mu.Unlock()
	f()
}

// Has waits until ok, during which nothing is delivered, returns true.
func (h *Heard) Has(t *testing.T, what string, ok func() bool) {
	t.Helper()
	chattest.Eventually(t, what, func() bool {
		h.mu.Lock()
		defer h.mu.Unlock()
		return ok()
	})
}

type feed struct{ *Heard }

func (f feed) Entries(room string, before protocol.ID, list []protocol.Entry) {
	text := room + " entries after " + before.Head()
	for _, e := range list {
		text += "\n" + string(e.Raw)
	}
	f.Note(func() { f.Heard.Live, f.Heard.Entries = append(f.Heard.Live, text), append(f.Heard.Entries, list...) })
}

func (f feed) Presence(room string, d protocol.PresenceDelta) {
	text := fmt.Sprint(room, " presence ", d.Count)
	for _, u := range d.Joined {
		text += "\n+" + u.ID + " " + u.Name
	}
	for _, u := range d.Left {
		text += "\n-" + u.ID + " " + u.Name
	}
	f.Note(func() { f.Live = append(f.Live, text) })
}

func (f feed) Typing(room string, u protocol.User) {
	f.Note(func() { f.Live = append(f.Live, room+" typing "+u.ID) })
}

func (f feed) Moderated(d protocol.Decision) {
	f.Note(func() {
		if d.Room == "" {
			f.News = append(f.News, d.Action)
		} else {
			f.Live = append(f.Live, d.Room+" "+d.Action)
		}
	})
}

func (f feed) Renamed(mark string, u protocol.User) {
	f.Note(func() { f.News = append(f.News, "renamed "+mark+" "+u.ID+" "+u.Name) })
}

func (f feed) Doubt(room string) { f.Note(func() { f.Live = append(f.Live, room+" doubt") }) }

func (f feed) Following(room string) {
	f.Note(func() { f.Heard.Following++; f.Followed = append(f.Followed, room) })
}

func (f feed) Lost() { f.Note(func() { f.Heard.Lost++ }) }

func (f feed) Reachable(up bool) { f.Note(func() { f.Up = up }) }
