package load

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"example.com/chat/internal/check"
	"example.com/chat/internal/client"
	"example.com/chat/internal/protocol"
)

// emojis are the emoji with which clients react.
var emojis = []string{"👍", "🎉", "❤️"}

// vary turns the message into a change of a known one, with the probability
// Config.Changes, and sometimes requests the room's history.
func (c *Client) vary(m *message) {
	random, p := c.cfg.Random, c.rooms[m.room]
	if random.IntN(10) == 0 {
		_ = c.wire.WriteRef(protocol.HistoryCommand{Room: m.room, Limit: 1 + random.IntN(protocol.MaxHistory)}, "")
	}
	if random.Float64() >= c.cfg.Changes || len(p.heard) == 0 {
		return
	}
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

// message handles an entry that arrived as an event.
func (c *Client) message(p *place, m client.Entry) {
	p.last = m.ID
	p.note(m, c.user.ID)
	switch {
	case seqOf(m.ID) > p.upTo:
		c.record(entryRecord(m))
	case m.Kind == "":
		c.record(shownRecord(m))
	}
}

// history handles a page of a room's history.
func (c *Client) history(h protocol.HistoryEvent, e client.Event) {
	list := []check.Record{{Op: check.OpHistory, Room: h.Room, More: h.More, Count: len(h.Messages)}}
	for _, raw := range h.Messages {
		var m client.Entry
		if json.Unmarshal(raw, &m) == nil {
			list = append(list, shownRecord(m))
		}
	}
	c.record(list...)
}

func entryRecord(m client.Entry) check.Record {
	r := check.Record{
		Op: check.OpMessage, Room: m.Room, ID: m.ID, Key: m.Key, User: m.User.ID, Text: m.Text, Kind: m.Kind, Target: m.Target,
	}
	if m.Kind == protocol.React {
		r.Text, r.Count = reactionText(m.Emoji, m.On), m.Count
	}
	return r
}

// LogRecord returns the record of an entry of the final log.
func LogRecord(m client.Entry) check.Record {
	r := entryRecord(m)
	r.Op = check.OpLog
	return r
}

func shownRecord(m client.Entry) check.Record {
	r := entryRecord(m)
	r.Op = check.OpShown
	var marks []string
	for _, mark := range m.Reactions {
		marks = append(marks, fmt.Sprint(mark.Emoji, " ", mark.Count))
	}
	r.Marks = strings.Join(marks, " ")
	return r
}

// reactionText returns the form of a reaction in a history.
func reactionText(emoji string, on bool) string {
	if on {
		return emoji + " on"
	}
	return emoji + " off"
}

// seqOf returns the seq of an id; 0 if the id is not valid.
func seqOf(id string) int64 {
	parsed, err := protocol.ParseID(id)
	if err != nil {
		return 0
	}
	return parsed.Seq
}
