package curves_test

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gorilla/websocket"
	"github.com/redis/go-redis/v9"

	"example.com/chat/internal/chattest"
	"example.com/chat/internal/chattest/redistest"
	"example.com/chat/internal/cluster"
	"example.com/chat/internal/redisbroker"
)

// A crowd returns over real connections to a room whose missed entries are more than memory
// usually holds. Nobody is refused, the node's memory grows little, and what a user of another
// room sends meanwhile is printed beside the usual.
func TestACrowdReturnsOverConnections(t *testing.T) {
	chattest.NeedMeasure(t)
	const entries, size = 990, 1000
	server := redistest.Start(t)
	opts, err := redis.ParseURL(server.URL)
	if err != nil {
		t.Fatal(err)
	}
	client := redis.NewClient(opts)
	defer client.Close()
	b, err := redisbroker.New(t.Context(), redisbroker.Config{Client: client, Namespace: "chat", History: 10_000, Node: cluster.NodeInfo{ID: "hand", Port: 1}})
	if err != nil {
		t.Fatal(err)
	}
	after := fillLog(t, b, "lobby", entries, size)
	program := chattest.Build(t)
	var grown, usual, late []point
	for _, n := range []int{100, 1000} {
		node := chattest.Start(t, chattest.Command{Path: program, Args: []string{"--redis", server.URL, "--addr", "127.0.0.1:0"}})
		url := node.URL(1)
		crowd := make([]*websocket.Conn, n)
		atOnce(n, 32, func(i int) { crowd[i] = connect(t, url) })
		by := connect(t, url)
		exchange(t, by, `{"type":"join","room":"bystanders"}`, "joined")
		usual = append(usual, point{n, p99(t, by, fmt.Sprint("before-", n), 3*time.Second)})
		before := chattest.UsageOf(t, node.PID()).Resident
		chattest.ResetPeak(t, node.PID())
		var refused atomic.Int64
		began, took := time.Now(), time.Duration(0)
		var all sync.WaitGroup
		all.Go(func() {
			atOnce(n, n, func(i int) {
				write(t, crowd[i], `{"type":"join","room":"lobby","after":"`+after.String()+`"}`)
				for bytesRead := 0; bytesRead < entries*size; {
					_, data, err := crowd[i].ReadMessage()
					if err != nil || bytes.HasPrefix(data, []byte(`{"type":"error"`)) {
						refused.Add(1)
						return
					}
					bytesRead += len(data)
				}
			})
			took = time.Since(began)
		})
		late = append(late, point{n, p99(t, by, fmt.Sprint("during-", n), 3*time.Second)})
		all.Wait()
		if r := refused.Load(); r > 0 {
			t.Errorf("%d of %d clients were refused", r, n)
		}
		t.Logf("%8d clients have all after %s", n, took.Round(time.Millisecond))
		grown = append(grown, point{n, float64(chattest.UsageOf(t, node.PID()).Peak-before) / (1 << 20)})
		for _, c := range crowd {
			_ = c.Close()
		}
		_ = by.Close()
		node.Kill()
	}
	curve(t, "MiB of the node more", 30, 0.034, grown)
	for i, p := range late {
		t.Logf("%8d: %12.2f ms until 99 %% of a bystander's messages are acknowledged, %.2f ms before", p.size, p.cost, usual[i].cost)
	}
}

// atOnce calls do for 0 to n-1, some at a time.
func atOnce(n, some int, do func(i int)) {
	var next atomic.Int64
	var all sync.WaitGroup
	for range some {
		all.Go(func() {
			for i := next.Add(1) - 1; i < int64(n); i = next.Add(1) - 1 {
				do(int(i))
			}
		})
	}
	all.Wait()
}

// connect opens a connection and sends hello. A node that is busy is asked again.
func connect(t *testing.T, url string) *websocket.Conn {
	for deadline := time.Now().Add(chattest.Patience); ; time.Sleep(50 * time.Millisecond) {
		c, _, err := websocket.DefaultDialer.Dial("ws"+strings.TrimPrefix(url, "http")+"/ws", nil)
		if err == nil {
			exchange(t, c, `{"type":"hello"}`, "welcome")
			return c
		}
		if time.Now().After(deadline) {
			t.Errorf("dial: %v", err)
			return nil
		}
	}
}

func write(t *testing.T, c *websocket.Conn, command string) {
	if err := c.WriteMessage(websocket.TextMessage, []byte(command)); err != nil {
		t.Errorf("write: %v", err)
	}
}

// exchange sends a command and waits for its reply.
func exchange(t *testing.T, c *websocket.Conn, command, reply string) {
	write(t, c, command)
	for {
		_, data, err := c.ReadMessage()
		if err != nil {
			t.Errorf("wait for %s: %v", reply, err)
			return
		}
		if bytes.HasPrefix(data, []byte(`{"type":"`+reply+`"`)) {
			return
		}
	}
}

// p99 sends messages for a while, and returns after how many milliseconds 99 of 100 were
// acknowledged.
func p99(t *testing.T, c *websocket.Conn, key string, d time.Duration) float64 {
	var took []time.Duration
	for began, i := time.Now(), 0; time.Since(began) < d; i++ {
		sent := time.Now()
		exchange(t, c, fmt.Sprintf(`{"type":"send","room":"bystanders","text":"x","key":"%s-%d"}`, key, i), "sent")
		took = append(took, time.Since(sent))
		time.Sleep(120 * time.Millisecond) // within the rate limit
	}
	slices.Sort(took)
	return float64(took[len(took)*99/100].Microseconds()) / 1000
}
