package load

import (
	"fmt"
	"strings"

	"example.com/chat/internal/check"
	"example.com/chat/internal/client"
	"example.com/chat/internal/protocol"
)

// entryRecord returns the record of an entry that arrived in the order of the log.
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

// shownRecord returns the record of a message as it stands.
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
