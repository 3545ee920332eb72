package client

import (
	"errors"
	"testing"
	"time"

	"example.com/chat/internal/protocol"
)

func TestAnErrorWithoutARefFindsItsCall(t *testing.T) {
	t.Parallel()
	send := func(room, key string) protocol.ClientCommand { return protocol.SendCommand{Room: room, Key: key} }
	for name, test := range map[string]struct {
		event   string
		handled bool
		bad     bool   // the connection must end
		key     string // of the call that gets it
	}{
		"by its key":         {`{"type":"error","code":"bad_field","message":"no","key":"two"}`, true, false, "two"},
		"by its room":        {`{"type":"error","code":"bad_field","message":"no","room":"b"}`, true, false, "three"},
		"about two":          {`{"type":"error","code":"bad_field","message":"no","room":"a"}`, true, true, ""},
		"about two, for now": {`{"type":"error","code":"rate_limited","message":"wait","room":"a"}`, false, false, ""},
		"about none":         {`{"type":"error","code":"bad_field","message":"no","key":"four"}`, false, false, ""},
		"no error":           {`{"type":"pong"}`, false, false, ""},
	} {
		var l calls
		got := ""
		for key, room := range map[string]string{"one": "a", "two": "a", "three": "b"} {
			l.add(&call{cmd: send(room, key), reply: func(Event) { got += key }})
		}
		l.add(&call{reply: func(Event) { got += "request" }})
		e, err := decodeEvent([]byte(test.event))
		if err != nil {
			t.Fatal(err)
		}
		handled, err := l.refusal(e)
		if handled != test.handled || (err != nil) != test.bad || err != nil && !errors.Is(err, errUnnamed) || got != test.key {
			t.Errorf("%s: handled %t, %v, passed to %q", name, handled, err, got)
		}
	}
}

func TestEachCallIsAnsweredOnce(t *testing.T) {
	t.Parallel()
	var l calls
	answers := 0
	ref := l.add(&call{cmd: protocol.PingCommand{}, began: time.Now().Add(-time.Minute), reply: func(Event) { answers++ }})
	if other := l.add(&call{cmd: protocol.PingCommand{}, began: time.Now(), reply: func(Event) {}}); other == ref {
		t.Errorf("two calls have the ref %s", ref)
	}
	if all, old := l.unanswered(0), l.unanswered(time.Minute); all != 2 || old != 1 {
		t.Errorf("%d unanswered, %d of them for a minute", all, old)
	}
	if !l.answer(Event{ref: ref}) || l.answer(Event{ref: ref}) || answers != 1 || l.unanswered(time.Minute) != 0 {
		t.Errorf("answered %d times", answers)
	}
}
