package conn

import (
	"runtime/debug"
	"sync/atomic"

	"github.com/gorilla/websocket"
)

// workers handle what readers have read. A goroutine's stack grows with the depth of
// its calls and shrinks slowly, so a reader that handled its messages itself would hold
// 8 KiB and more forever; this way it stays as small as a wait needs.
type workers struct {
	jobs chan job
	idle atomic.Int32
}

// job is one task for a connection.
type job struct {
	conn *Conn
	what int
	data []byte              // for jobFeed: borrowed from buffers
	open func(*Conn) Handler // for jobOpen
}

const (
	jobOpen   = iota // make the handler
	jobFeed          // parse what was read
	jobFinish        // end the connection
)

// maxIdle is how many idle workers are kept.
const maxIdle = 64

func newWorkers() workers { return workers{jobs: make(chan job)} }

// do runs the job in a worker, and waits for it.
func (w *workers) do(j job) {
	j.conn.atWork.Add(1)
	select {
	case w.jobs <- j:
	default:
		go w.work(j, j.conn.server.stop) // ends when enough others are idle, or with stop
	}
	j.conn.atWork.Wait()
}

func (w *workers) work(j job, stop <-chan struct{}) {
	for {
		j.run()
		if w.idle.Add(1) > maxIdle {
			w.idle.Add(-1)
			return
		}
		select {
		case j = <-w.jobs:
			w.idle.Add(-1)
		case <-stop:
			return
		}
	}
}

// run runs the job. A panic is recovered and ends the connection.
func (j job) run() {
	c := j.conn
	defer c.atWork.Done()
	defer func() {
		if p := recover(); p != nil {
			c.server.panics.Add(1)
			c.server.cfg.Log.Error("a connection ended by a panic", "panic", p, "stack", string(debug.Stack()))
			c.Close(websocket.CloseInternalServerErr, "internal error")
			c.in.ended = true
		}
	}()
	switch j.what {
	case jobOpen:
		c.alive.expect(c.server.cfg.IdleAfter, false)
		c.in.handler = j.open(c)
		c.in.binaries, _ = c.in.handler.(BinaryHandler)
	case jobFeed:
		c.in.feed(j.data)
		releaseBuffer(j.data)
	case jobFinish:
		c.finish()
	}
}
