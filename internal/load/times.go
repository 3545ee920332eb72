package load

import (
	"slices"
	"time"

	"example.com/chat/internal/check"
)

// Times are durations of one kind.
type Times struct {
	Count         int
	P50, P99, Max time.Duration
}

// timesOf sorts the list.
func timesOf(list []time.Duration) Times {
	if len(list) == 0 {
		return Times{}
	}
	slices.Sort(list)
	return Times{Count: len(list), P50: list[len(list)/2], P99: list[len(list)*99/100], Max: list[len(list)-1]}
}

// Spread returns them in milliseconds.
func (t Times) Spread() Spread {
	ms := func(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }
	return Spread{Count: t.Count, P50: ms(t.P50), P99: ms(t.P99), Max: ms(t.Max)}
}

// judge checks a history, and fills in the fields of the result that come from it.
func (r *Result) judge(list []check.Record) {
	r.Records = list
	r.Report, r.Verdict = check.Judge(list)
	type key struct{ room, user, key string }
	type place struct{ client, room string }
	var (
		began              = make(map[key]int64)
		acked              = make(map[key]bool)
		opened             = make(map[string]int)
		due                = make(map[place]int) // messages that came with a join, not as events
		acks, heard        []time.Duration
		firstSend, lastAck int64
	)
	for i := range list {
		rec := &list[i]
		k := key{rec.Room, rec.User, rec.Key}
		opened[rec.Client] = max(opened[rec.Client], rec.Conn)
		switch rec.Op {
		case check.OpSend:
			if _, again := began[k]; !again {
				began[k] = rec.At
			}
			if firstSend == 0 {
				firstSend = rec.At
			}
		case check.OpSent:
			lastAck = rec.At
			if at, ok := began[k]; ok && !acked[k] {
				acked[k] = true
				acks = append(acks, time.Duration(rec.At-at))
			}
		case check.OpRefused:
			r.Refused++
		case check.OpJoined:
			due[place{rec.Client, rec.Room}] = 0
			if rec.Recovered {
				due[place{rec.Client, rec.Room}] = rec.Count
			}
		case check.OpMessage:
			p := place{rec.Client, rec.Room}
			if due[p] > 0 {
				due[p]--
			} else if at, ok := began[k]; ok {
				heard = append(heard, time.Duration(rec.At-at))
			}
		}
	}
	for _, n := range opened {
		r.Opened += n
	}
	r.Took = time.Duration(max(0, lastAck-firstSend))
	r.Acknowledged, r.Delivered = timesOf(acks), timesOf(heard)
}
