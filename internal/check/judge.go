package check

import "example.com/chat/internal/protocol"

// Verdict is the conclusion from a history.
type Verdict int

const (
	// Kept: every promise was kept.
	Kept Verdict = iota
	// RedisLost: acknowledged entries are gone or have changed, but only as happens
	// when Redis itself loses a log, and all members were notified.
	RedisLost
	// Broken: a promise was broken.
	Broken
)

// Judge verifies a history, and distinguishes broken promises of chat from losses of
// Redis. The report is Verify's in both cases.
func Judge(list []Record) (*Report, Verdict) {
	report := Verify(list)
	if report.OK() {
		return report, Kept
	}
	if wiped := withWipes(list); len(wiped) > len(list) && Verify(wiped).OK() {
		return report, RedisLost
	}
	return report, Broken
}

// withWipes trusts the members that were notified of another log: in the copy an
// OpWiped of the room precedes each such record.
func withWipes(list []Record) []Record {
	var logs finalLogs
	out := make([]Record, 0, len(list))
	for i := range list {
		if r := &list[i]; r.Op == OpReset || r.Op == OpJoined && logs.lost(r, list) {
			out = append(out, Record{At: r.At, Op: OpWiped, Room: r.Room})
		}
		out = append(out, list[i])
	}
	return out
}

// finalLogs holds the ids of the final logs by room and seq; nil until they are needed.
type finalLogs map[string]map[int64]protocol.ID

func (l *finalLogs) read(list []Record) {
	*l = make(finalLogs)
	for i := range list {
		r := &list[i]
		if r.Op != OpLog {
			continue
		}
		if (*l)[r.Room] == nil {
			(*l)[r.Room] = make(map[int64]protocol.ID)
		}
		if id, ok := parse(r.ID); ok {
			(*l)[r.Room][id.Seq] = id
		}
	}
}

// lost reports whether a join that recovered nothing had a cursor that a log has lost:
// the head is before it, or the final log has another entry at its seq. A cursor that
// was only trimmed is neither.
func (l *finalLogs) lost(r *Record, list []Record) bool {
	head, ok := parse(r.Head)
	after, ok2 := parse(r.After)
	if r.Recovered || !ok || !ok2 || after.IsZero() {
		return false
	}
	if head.Seq < after.Seq {
		return true
	}
	if *l == nil {
		l.read(list)
	}
	there, held := (*l)[r.Room][after.Seq]
	return held && there != after
}
