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

// Bench is a load on a cluster that is known by one address, and its check. It
// needs no Redis: the logs are read through the nodes.
type Bench struct {
	// URL is that of any node; the others are learned from it.
	URL string
	// Clients are how many users there are, Rooms into how many rooms they are
	// spread.
	Clients, Rooms int
	// Rate is how many messages a second all say together.
	Rate float64
	// For is how long they do, and Churn the mean time after which each changes
	// its node; 0 for never.
	For, Churn time.Duration
	// Started is called with the welcome of the node at URL, before the first
	// client starts, Notice with what is worth a line meanwhile, one call at a
	// time. Either may be nil.
	Started func(protocol.WelcomeEvent)
	Notice  func(string)
	// Found is called with the result before the messages are deleted, which takes as
	// long as users' rates let it; Cleaning with how many these are. Either may be nil.
	Found    func(*Result)
	Cleaning func(messages int)
}

// Result is what a Bench found.
type Result struct {
	// Records is the whole history, with the logs, Report the check's, and
	// Verdict what it comes to.
	Records []check.Record
	Report  *check.Report
	Verdict check.Verdict
	// Interrupted tells that it was ended early.
	Interrupted bool
	// Nodes are how many nodes were known in the end.
	Nodes int
	// Talked is for how long the clients said something new, Took the time from
	// the first message to the last acknowledgement.
	Talked, Took time.Duration
	// Clients are how many began, Outside those of them that were never in a
	// room; WhyOutside is the newest reason, where one is known.
	Clients, Outside int
	WhyOutside       error
	// Opened counts connections, Refused refused messages, which were sent
	// again, Away the clients that were in their rooms and in the end were not,
	// so that nothing can be said of what they should have heard last.
	Opened, Refused, Away int
	// Left is how many messages are still in the rooms of the bench.
	Left int
	// Acknowledged are the times from the first sending of a message to its
	// acknowledgement, Delivered those to each member that heard it live.
	Acknowledged, Delivered Times
}

// Timings of a Bench.
const (
	// startSpread is the time over which the clients start, so that they are no
	// storm; of a short bench it is one part in startPart.
	startSpread = time.Second
	startPart   = 20
	// SettleWithin is how long the clients may take to have all acknowledged, and
	// to hear it, after the last was said; settleSoon when somebody waits for an
	// early end.
	SettleWithin = 30 * time.Second
	settleSoon   = 10 * time.Second
	// A client looks for something to do this often within the mean time
	// between two of its messages, within bounds.
	looks    = 20
	tickMost = 50 * time.Millisecond
)

// benchWindow is how many messages of one client may be unacknowledged.
const benchWindow = 4

// Run carries the bench out. It ends by itself, and early when ctx is done, with
// the result so far. The error is that of the first connection, or tells that
// the logs can't be read.
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

// clean deletes what the clients said, unless a promise was broken: then it is left to be
// looked at.
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

// ErrNoLogs tells that there is no result because the logs were out of reach.
var ErrNoLogs = errors.New("what the rooms hold in the end can't be read")

// errPending tells that it is too early to read the logs.
var errPending = errors.New("messages are not acknowledged yet")

// start starts the clients, a little apart.
func (b Bench) start(ctx context.Context, fleet *Fleet, nodes *nodeList) {
	var random [4]byte
	_, _ = crand.Read(random[:]) // never fails (crypto/rand)
	every := time.Duration(float64(b.Clients) / b.Rate * float64(time.Second))
	for i := range b.Clients {
		if ctx.Err() != nil {
			return
		}
		fleet.Add(Config{
			Name:   "c" + strconv.Itoa(i+1),
			Rooms:  []string{fmt.Sprintf("bench-%s-%d", hex.EncodeToString(random[:]), i%b.Rooms+1)},
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

func newRandom() *rand.Rand { return rand.New(rand.NewPCG(rand.Uint64(), rand.Uint64())) }

// pending is how many messages of all clients are not acknowledged.
func (f *Fleet) pending() int {
	n := 0
	for _, c := range f.Clients {
		n += c.Pending()
	}
	return n
}
