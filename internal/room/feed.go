package room

import "example.com/chat/internal/protocol"

// Feed returns what the Hub's Broker delivers to. It stays good as long as the Hub.
func (h *Hub) Feed() Feed { return feed{h} }

// feed is the Hub as its Broker sees it.
type feed struct{ hub *Hub }

// Entries delivers what comes next in the room's log, drops what the room has, and
// schedules a read of the log if something is missing.
func (f feed) Entries(name string, before protocol.ID, list []protocol.Entry) {
	if r := f.hub.rooms.find(name); r != nil {
		f.hub.traces.hear(list)
		r.log.hear(before, list)
	}
}

// Presence applies a change of the users in the room.
func (f feed) Presence(name string, d protocol.PresenceDelta) {
	if r := f.hub.rooms.find(name); r != nil {
		r.here.apply(d)
	}
}

// Typing notifies the room's other members that the user is typing.
func (f feed) Typing(name string, user protocol.User) {
	if r := f.hub.rooms.find(name); r != nil {
		r.typing(user)
	}
}

// Moderated puts a decision into force.
func (f feed) Moderated(d protocol.Decision) {
	if d.Room == "" {
		f.hub.users.moderated(d)
	} else if r := f.hub.rooms.find(d.Room); r != nil {
		r.moderated(d)
	}
}

// Renamed updates the user's name in the rooms that it is in.
func (f feed) Renamed(mark string, user protocol.User) { f.hub.users.renamed(mark, user) }

// Doubt schedules a read of the room's log, and of the users in it.
func (f feed) Doubt(name string) {
	if r := f.hub.rooms.find(name); r != nil {
		r.doubt()
	}
}

// Following schedules a read of the room's log, and of the users in it.
func (f feed) Following(name string) {
	if r := f.hub.rooms.find(name); r != nil {
		r.refresh()
	}
}

// Lost schedules the writing of all that this node writes about its users.
func (f feed) Lost() { f.hub.users.lost() }

// Reachable notifies the members that the broker is lost, or, once every room has
// caught up, that it is back.
func (f feed) Reachable(up bool) { f.hub.users.reachable(up) }
