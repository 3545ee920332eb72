package redisbroker_test

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"testing"
	"time"

	"example.com/chat/internal/cluster"
	"example.com/chat/internal/protocol"
	"example.com/chat/internal/redisbroker"
)

// waiting holds two brokers at one Redis with a replica: one that does not wait for the
// replica, and one that does.
func waiting(b *testing.B) (brokers [2]*redisbroker.Broker) {
	b.Helper()
	primary, _ := pair(b)
	for n := range brokers {
		client := newSingle(b, primary.URL, nil)
		b.Cleanup(func() { _ = client.Close() })
		var err error
		brokers[n], err = redisbroker.New(context.Background(), redisbroker.Config{
			Client: client, Namespace: "chat", History: 10_000, Replicas: n, Node: cluster.NodeInfo{ID: fmt.Sprint("n", n)},
		})
		if err != nil {
			b.Fatal(err)
		}
	}
	return brokers
}

// BenchmarkReplicas measures the cost of --wait-replicas: appends of one message without
// and with one replica, in turns, so that other load of the machine affects both.
//
//	go test -run - -bench Replicas$ -benchtime 5000x ./internal/redisbroker
func BenchmarkReplicas(b *testing.B) {
	brokers := waiting(b)
	var took [2][]time.Duration
	b.ResetTimer()
	for i := range b.N {
		for n := range brokers {
			began := time.Now()
			_, err := brokers[n].Append(context.Background(), "lobby", []protocol.Draft{draft("a", strconv.Itoa(2*i+n), "hello")})
			if err != nil {
				b.Fatal(err)
			}
			took[n] = append(took[n], time.Since(began))
		}
	}
	b.StopTimer()
	var median [2]time.Duration
	for n := range took {
		slices.Sort(took[n])
		median[n] = took[n][len(took[n])/2]
		b.ReportMetric(float64(median[n].Microseconds()), fmt.Sprintf("µs-median-%d", n))
		b.ReportMetric(float64(took[n][len(took[n])*99/100].Microseconds()), fmt.Sprintf("µs-p99-%d", n))
	}
	b.ReportMetric(float64(median[1])/float64(median[0]), "ratio")
}

// BenchmarkReplicasBusy does the same for as many rooms at once as a hub appends to: how
// many messages a second a node appends.
//
//	go test -run - -bench ReplicasBusy -benchtime 20x ./internal/redisbroker
func BenchmarkReplicasBusy(b *testing.B) {
	const rooms, each = 24, 50
	brokers := waiting(b)
	var took [2]time.Duration
	b.ResetTimer()
	for i := range b.N {
		for n := range brokers {
			began := time.Now()
			failed := make(chan error, rooms)
			for room := range rooms {
				go func() { // ends when its messages are appended; waited for below
					for k := range each {
						key := fmt.Sprintf("%d-%d-%d", i, n, k)
						if _, err := brokers[n].Append(context.Background(), fmt.Sprint("room-", room), []protocol.Draft{draft("a", key, "hello")}); err != nil {
							failed <- err
							return
						}
					}
					failed <- nil
				}()
			}
			for range rooms {
				if err := <-failed; err != nil {
					b.Fatal(err)
				}
			}
			took[n] += time.Since(began)
		}
	}
	b.StopTimer()
	for n := range took {
		b.ReportMetric(float64(b.N*rooms*each)/took[n].Seconds(), fmt.Sprintf("appends/s-%d", n))
	}
	b.ReportMetric(float64(took[1])/float64(took[0]), "ratio")
}
