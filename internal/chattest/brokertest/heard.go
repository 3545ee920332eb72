package brokertest

import (
	"fmt"
	"sync"
	"testing"

	"example.com/chat/internal/chattest"
	"example.com/chat/internal/protocol"
	"example.com/chat/internal/room"
)

// Heard records what a broker delivers. Its fields may be read in Has and Note only.
type Heard struct {
	mu sync.Mutex // guards the fields below

	// Live holds one text for each delivery that concerns a room; it begins with the
	// room's name. News holds those that concern all rooms.
	Live, News []string
	// Entries holds all entries that were delivered.
	Entries []protocol.Entry
	// Following counts the calls of Following, and Followed names their rooms.
	Following int
	Followed  []string
	// Lost counts the calls of Lost.
	Lost int
	// Up is the last value of Reachable.
	Up bool
}

// Feed returns the feed to which the broker delivers.
func (h *Heard) Feed() room.Feed { return feed{h} }

// Note calls f, and holds back deliveries until it returns.
func (h *Heard) Note(f func()) {
	h.mu.Lock()
	defer h.mu.Unlock()
	f()
}

// Has waits until ok returns true, and holds back deliveries during its calls. It fails the
// test after chattest.Patience.
func (h *Heard) Has(t *testing.T, what string, ok func() bool) {
	t.Helper()
	chattest.Eventually(t, what, func() bool {
		h.mu.Lock()
		defer h.mu.Unlock()
		return ok()
	})
}

// feed records deliveries in Heard.
type feed struct{ *Heard }

// Entries records the entries, and one text for all of them (room.Feed).
func (f feed) Entries(room string, before protocol.ID, list []protocol.Entry) {
	text := room + " entries after " + before.Head()
	for _, e := range list {
		text += "\n" + string(e.Raw)
	}
	f.Note(func() { f.Heard.Live, f.Heard.Entries = append(f.Heard.Live, text), append(f.Heard.Entries, list...) })
}

// Presence records the count, and the users who joined and left (room.Feed).
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

// Typing records the user (room.Feed).
func (f feed) Typing(room string, u protocol.User) {
	f.Note(func() { f.Live = append(f.Live, room+" typing "+u.ID) })
}

// Moderated records the action, by its room if it has one (room.Feed).
func (f feed) Moderated(d protocol.Decision) {
	f.Note(func() {
		if d.Room == "" {
			f.News = append(f.News, d.Action)
		} else {
			f.Live = append(f.Live, d.Room+" "+d.Action)
		}
	})
}

// Renamed records the mark and the user (room.Feed).
func (f feed) Renamed(mark string, u protocol.User) {
	f.Note(func() { f.News = append(f.News, "renamed "+mark+" "+u.ID+" "+u.Name) })
}

// Doubt records the room (room.Feed).
func (f feed) Doubt(room string) { f.Note(func() { f.Live = append(f.Live, room+" doubt") }) }

// Following counts the call and records the room (room.Feed).
func (f feed) Following(room string) {
	f.Note(func() { f.Heard.Following++; f.Followed = append(f.Followed, room) })
}

// Lost counts the call (room.Feed).
func (f feed) Lost() { f.Note(func() { f.Heard.Lost++ }) }

// Reachable records the state (room.Feed).
func (f feed) Reachable(up bool) { f.Note(func() { f.Up = up }) }
