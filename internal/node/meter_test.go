package node

import (
	"testing"
	"time"
)

func TestARateIsTheMeanOfTheLastBeats(t *testing.T) {
	t.Parallel()
	var m meter
	began := time.Now()
	at := func(ms int) time.Time { return began.Add(time.Duration(ms) * time.Millisecond) }
	if r := m.rate(at(0), 5); r != 0 {
		t.Errorf("before a beat: %v", r)
	}
	m.note(at(0), 100)
	m.note(at(10), 100) // an immediate heartbeat
	if r := m.rate(at(100), 110); r != 0 {
		t.Errorf("too soon: %v", r)
	}
	m.note(at(1000), 110)
	if r := m.rate(at(2000), 125); r != 12.5 {
		t.Errorf("after two seconds: %v", r)
	}
	for i := range 2 * meterBeats {
		m.note(at(2000+1000*i), 125)
	}
	if r := m.rate(at(2000+1000*2*meterBeats), 125); r != 0 {
		t.Errorf("long after: %v", r)
	}
}
