package load

import (
	"cmp"
	"context"
	crand "crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"math/rand/v2"
	"strconv"
	"time"

	"example.com/chat/internal/check"
	"example.com/chat/internal/client"
	"example.com/chat/internal/protocol"
)

// Bench puts load on a cluster and checks it. It needs the address of one node and no
// access to Redis: it reads the logs through the nodes.
type Bench struct {
	// URL is the URL of any node, which lists the others.
	URL string
	// Clients is the number of users, Rooms the number of rooms that they are spread
	// over.
	Clients, Rooms int
	// Rate is the number of messages a second of all clients together.
	Rate float64
	// For is the duration of the load, and Churn the mean time after which a client
	// changes its node; 0 for never.
	For, Churn time.Duration
	// Started is called with the welcome of the node at URL before the first client
	// starts, and Notice with lines for the user meanwhile, one call at a time. Either
	// may be nil.
	Started func(protocol.WelcomeEvent)
	Notice  func(string)
	// Found is called with the result before the messages are deleted, which takes as
	// long as the rate limit requires; Cleaning with their number. Either may be nil.
	Found    func(*Result)
	Cleaning func(messages int)
}

// Result is the result of a Bench.
type Result struct {
	// Records is the whole history with the logs, Report that of the check, and Verdict
	// the conclusion.
	Records []check.Record
	Report  *check.Report
	Verdict check.Verdict
	// Interrupted reports that the bench was ended early.
	Interrupted bool
	// Nodes is the number of nodes known at the end.
	Nodes int
	// Talked is how long the clients sent new messages, Took the time from the first
	// message to the last acknowledgement.
	Talked, Took time.Duration
	// Clients is the number of clients that started, Outside how many of them never
	// joined a room; WhyOutside is the newest reason, nil if unknown.
	Clients, Outside int
	WhyOutside       error
	// Opened counts connections, Refused refused messages, which were sent again, and
	// Away clients that had joined their rooms and were not in them at the end, so that
	// their last entries can't be checked.
	Opened, Refused, Away int
	// Left is the number of messages that are still in the rooms of the bench.
	Left int
	// Acknowledged are the times from the first sending of a message to its
	// acknowledgement, Delivered those to each member that received it as an event.
	Acknowledged, Delivered Times
}

// Timings of a Bench.
const (
	// startSpread is the time over which the clients start, to avoid a flood; in a
	// short bench it is one part in startPart.
	startSpread = time.Second
	startPart   = 20
	// SettleWithin is how long the clients may take to receive all acknowledgements and
	// entries after the last message was sent; settleSoon is the same after an
	// interrupt.
	SettleWithin = 30 * time.Second
	settleSoon   = 10 * time.Second
	// A client looks for something to do this often within the mean time between two of
	// its messages, within bounds.
	looks    = 20
	tickMost = 50 * time.Millisecond
)

// benchWindow bounds the unacknowledged messages of one client.
const benchWindow = 4

// Run runs the bench. When ctx is done it ends early, with the result so far. The error
// is that of the first connection, or ErrNoLogs.
func (b Bench) Run(ctx context.Context) (*Result, error) {
	nodes := newNodeList(b.URL, b.Notice)
	first, err := client.Dial(ctx, client.Options{URL: b.URL})
	if err != nil {
		return nil, err
	}
	welcome := first.Welcome()
	first.Close()
	nodes.learn(welcome.Nodes)
	if b.Started != nil {
		b.Started(welcome)
	}
	fleet := NewFleet()
	defer fleet.Close()
	running, stop := context.WithTimeout(ctx, b.For)
	defer stop()
	began := time.Now()
	b.start(running, fleet, nodes)
	<-running.Done()
	talked := time.Since(began)
	interrupted := ctx.Err() != nil
	patience := SettleWithin
	if interrupted {
		patience = settleSoon
	}
	settling, cancel := context.WithTimeout(context.WithoutCancel(ctx), patience)
	defer cancel()
	logs, err := fleet.settle(settling, func(ctx context.Context) ([]check.Record, map[string]string, error) {
		if settling.Err() == nil && fleet.pending() > 0 {
			return nil, nil, errPending
		}
		return nodes.readLogs(ctx, fleet.rooms, len(fleet.History.Records()))
	})
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrNoLogs, err)
	}
	result := &Result{Interrupted: interrupted, Nodes: len(nodes.urls()), Talked: talked, Clients: len(fleet.Clients)}
	for _, c := range fleet.Clients {
		switch {
		case c.In():
			c.End()
		case c.Entered():
			result.Away++
		default:
			result.Outside++
			result.WhyOutside = cmp.Or(c.Refusal(), nodes.whyOutside())
		}
	}
	fleet.History.Add(logs...)
	result.judge(fleet.History.Records())
	if b.Found != nil {
		b.Found(result)
	}
	b.clean(ctx, fleet, logs, welcome.Limits, result)
	return result, nil
}

// clean deletes the clients' messages, unless a promise was broken: then they stay for
// inspection.
func (b Bench) clean(ctx context.Context, fleet *Fleet, logs []check.Record, l protocol.Limits, result *Result) {
	if result.Left = len(logs); result.Verdict == check.Broken || len(logs) == 0 {
		return
	}
	if b.Cleaning != nil {
		b.Cleaning(len(logs))
	}
	patience := b.cleanWithin(logs, l.Rate)
	if ctx.Err() != nil {
		ctx, patience = context.WithoutCancel(ctx), min(patience, cleanSoon)
	}
	bounded, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	result.Left = fleet.clean(bounded, logs)
}

// ErrNoLogs reports that there is no result because the logs could not be read.
var ErrNoLogs = errors.New("what the rooms hold in the end can't be read")

// errPending reports that it is too early to read the logs.
var errPending = errors.New("messages are not acknowledged yet")

// start starts the clients, spread over a short time.
func (b Bench) start(ctx context.Context, fleet *Fleet, nodes *nodeList) {
	tag := randomTag()
	every := time.Duration(float64(b.Clients) / b.Rate * float64(time.Second))
	for i := range b.Clients {
		if ctx.Err() != nil {
			return
		}
		fleet.Add(Config{
			Name:   "c" + strconv.Itoa(i+1),
			Rooms:  []string{fmt.Sprintf("bench-%s-%d", tag, i%b.Rooms+1)},
			Dial:   nodes.dialer(),
			Random: newRandom(),
			Every:  every,
			Window: benchWindow,
			Tick:   min(max(every/looks, tick), tickMost),
			Switch: b.Churn,
		})
		pause(ctx, min(startSpread, b.For/startPart)/time.Duration(b.Clients))
	}
}

// randomTag returns a part of the names of rooms that no other bench uses.
func randomTag() string {
	var random [4]byte
	_, _ = crand.Read(random[:]) // never fails (crypto/rand)
	return hex.EncodeToString(random[:])
}

// newRandom returns a source that no other client shares.
func newRandom() *rand.Rand { return rand.New(rand.NewPCG(rand.Uint64(), rand.Uint64())) }

// pending returns the number of unacknowledged messages of all clients.
func (f *Fleet) pending() int {
	n := 0
	for _, c := range f.Clients {
		n += c.Pending()
	}
	return n
}
