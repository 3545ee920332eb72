package load

import (
	"encoding/json"
	"math/rand/v2"
	"slices"
	"time"

	"example.com/chat/internal/check"
	"example.com/chat/internal/client"
	"example.com/chat/internal/protocol"
)

// place is a user's state of one room. It is not safe for concurrent use.
type place struct {
	joined bool
	last   string    // the cursor: the newest entry received, beginning of an empty room, "" before the first join
	again  time.Time // when a refused join is repeated; zero for never
	tries  int       // consecutive refused joins
	// upTo is the seq up to which entries belong to the last join that recovered
	// nothing; events up to it are messages as they stand.
	upTo  int64
	heard []string // ids of messages to change, the newest maxTargets
	mine  []string // the user's own
}

// maxTargets bounds the messages of a room that a user may change.
const maxTargets = 30

// beginning is the cursor before the first entry of a room, and the head of an empty
// one.
const beginning = "0-0"

// lost records the end of the connection.
func (p *place) lost() { p.joined, p.again = false, time.Time{} }

// reset drops the cursor, since the log was replaced.
func (p *place) reset() { p.last, p.joined, p.upTo = "", false, 0 }

// complete reports whether the user has received all entries up to the room's head; ""
// is the head of an empty room.
func (p *place) complete(head string) bool {
	return p.joined && (p.last == head || head == "" && p.last == beginning)
}

// resumed handles a joined, which answers a join after a cursor, and returns its
// records.
func (p *place) resumed(j protocol.JoinedEvent, after, user string) []check.Record {
	list := []check.Record{{
		Op: check.OpJoined, Room: j.Room, After: after, Head: j.Head, Recovered: j.Recovered, Count: len(j.Messages), More: j.More,
	}}
	p.upTo = 0
	if !j.Recovered {
		p.last, p.upTo = "", seqOf(j.Head)
	}
	for _, raw := range j.Messages {
		var m client.Entry
		if err := json.Unmarshal(raw, &m); err != nil {
			continue // the check will find it missing
		}
		p.last = m.ID
		p.note(m, user)
		if j.Recovered {
			list = append(list, entryRecord(m))
		} else {
			list = append(list, shownRecord(m))
		}
	}
	if !j.More {
		p.last = j.Head // which may be the id of a change that the messages include
	}
	p.joined, p.tries = true, 0
	return list
}

// message handles an entry that arrived as an event, and returns its record; none for a
// change that the messages of the last joined include.
func (p *place) message(m client.Entry, user string) []check.Record {
	p.last = m.ID
	p.note(m, user)
	switch {
	case seqOf(m.ID) > p.upTo:
		return []check.Record{entryRecord(m)}
	case m.Kind == "":
		return []check.Record{shownRecord(m)}
	}
	return nil
}

// note records a message as a target of changes, or removes a deleted one.
func (p *place) note(m client.Entry, user string) {
	switch m.Kind {
	case "":
		p.heard = append(p.heard, m.ID)
		if m.User.ID == user {
			p.mine = append(p.mine, m.ID)
		}
	case protocol.Delete:
		is := func(id string) bool { return id == m.Target }
		p.heard, p.mine = slices.DeleteFunc(p.heard, is), slices.DeleteFunc(p.mine, is)
	}
	p.heard = p.heard[max(0, len(p.heard)-maxTargets):]
	p.mine = p.mine[max(0, len(p.mine)-maxTargets):]
}

// emojis are the emoji with which users react.
var emojis = []string{"👍", "🎉", "❤️"}

// vary turns a message into a random change of a known one. If the kind of change has
// no target, the message stays.
func (p *place) vary(m *message, random *rand.Rand) {
	kind := []string{protocol.React, protocol.React, protocol.Edit, protocol.Delete}[random.IntN(4)]
	targets := p.heard
	if kind != protocol.React {
		targets = p.mine
	}
	if len(targets) == 0 {
		return
	}
	m.kind, m.target = kind, targets[random.IntN(len(targets))]
	switch kind {
	case protocol.React:
		m.text, m.emoji, m.on = "", emojis[random.IntN(len(emojis))], random.IntN(3) > 0
	case protocol.Delete:
		m.text = ""
	}
}
