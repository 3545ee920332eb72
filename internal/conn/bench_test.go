package conn

import (
	"io"
	"testing"
)

// BenchmarkSend measures the delivery of 100 frames to one busy connection, until the
// client has read them.
func BenchmarkSend(b *testing.B) {
	s := serve(b, Config{JoinEvery: 1, OutboxLimit: 1 << 20})
	client := s.raw(b)
	c := <-s.conns
	f := Text(make([]byte, 200))
	buf := make([]byte, 100*len(f.b))
	b.ReportAllocs()
	for b.Loop() {
		for range 100 {
			c.Send(f)
		}
		if _, err := io.ReadFull(client.in, buf); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkEcho measures one message from a client, and the handler's message back.
func BenchmarkEcho(b *testing.B) {
	s := serve(b, Config{JoinEvery: 1})
	client := s.raw(b)
	message := masked(finText, string(make([]byte, 100)))
	buf := make([]byte, len(frame(finText, make([]byte, 100))))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := client.Write(message); err != nil {
			b.Fatal(err)
		}
		if _, err := io.ReadFull(client.in, buf); err != nil {
			b.Fatal(err)
		}
	}
}
