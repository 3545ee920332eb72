package engineio

import (
	"net/http"
	"strings"
	"testing"
)

// BenchmarkPoll measures ten messages to a polling session, and the poll that fetches
// them.
func BenchmarkPoll(b *testing.B) {
	s := serve(b, Config{})
	url := s.polling()
	session := s.session()
	m := Text(make([]byte, 100))
	r, err := http.NewRequest("GET", url, nil)
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		for range 10 {
			session.Send(m)
		}
		s.ServeHTTP(discard{}, r)
	}
	if session.Pending() != 0 {
		b.Errorf("%d bytes are pending", session.Pending())
	}
}

// BenchmarkWaitingPoll measures a poll that waits for a message.
func BenchmarkWaitingPoll(b *testing.B) {
	s := serve(b, Config{})
	url := s.polling()
	session := s.session()
	m := Text(make([]byte, 100))
	r, err := http.NewRequest("GET", url, nil)
	if err != nil {
		b.Fatal(err)
	}
	done := make(chan struct{})
	b.ReportAllocs()
	for b.Loop() {
		go func() { // ends with the poll
			s.ServeHTTP(discard{}, r)
			done <- struct{}{}
		}()
		session.Send(m)
		<-done
	}
}

// BenchmarkPost measures one message in a POST, and the poll with its answer.
func BenchmarkPost(b *testing.B) {
	s := serve(b, Config{})
	url := s.polling()
	get, err := http.NewRequest("GET", url, nil)
	if err != nil {
		b.Fatal(err)
	}
	body := "4" + strings.Repeat("x", 100)
	b.ReportAllocs()
	for b.Loop() {
		post, err := http.NewRequest("POST", url, strings.NewReader(body))
		if err != nil {
			b.Fatal(err)
		}
		s.ServeHTTP(discard{}, post)
		s.ServeHTTP(discard{}, get)
	}
}
