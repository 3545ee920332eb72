package demo

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os/exec"
	"strconv"
	"syscall"
	"time"

	"example.com/chat/internal/neterr"
)

// Action is what an order does.
type Action string

// The actions. Stop and Start apply to the broker, the others to a node.
const (
	Kill   Action = "kill"   // kills it; it is started again
	Freeze Action = "freeze" // stops its process; its connections stay open
	Wake   Action = "wake"
	Drain  Action = "drain" // it closes its users' connections and ends; it is started again
	Stop   Action = "stop"
	Start  Action = "start"
)

// The states of a node in State, and those of the broker.
const (
	NodeStarting = "starting"
	NodeRunning  = "running"
	NodeFrozen   = "frozen"
	NodeDraining = "draining"

	BrokerRunning = "running"
	BrokerStopped = "stopped"
)

// State is the state of the cluster.
type State struct {
	Nodes  []NodeState `json:"nodes"`
	Broker string      `json:"broker"`
	// Freeze reports whether this system can freeze a process.
	Freeze bool `json:"freeze"`
}

// NodeState is the state of one node.
type NodeState struct {
	Node  int    `json:"node"` // from 1 on
	URL   string `json:"url"`
	State string `json:"state"`
}

// Order is an order to the parent.
type Order struct {
	Action Action `json:"action"`
	Node   int    `json:"node,omitempty"` // 0 for the broker's
	// Via is the node that forwards the order. It answers before an order against
	// itself is executed.
	Via int `json:"via,omitempty"`
}

// Refusal is the reason why an order is not executed.
type Refusal struct {
	Status  int    `json:"-"` // HTTP's
	Code    string `json:"code"`
	Message string `json:"message"` // for people
}

// Error returns the message.
func (r *Refusal) Error() string { return r.Message }

func badOrder(message string) error {
	return &Refusal{http.StatusBadRequest, "bad_field", message}
}

func conflict(format string, args ...any) error {
	return &Refusal{http.StatusConflict, "conflict", fmt.Sprintf(format, args...)}
}

// Timings and bounds of the controls.
const (
	// answerFirst is how long a node that forwards an order against itself has to
	// answer before the order is executed.
	answerFirst = 150 * time.Millisecond
	// killedWithin is how long an order waits for the end of the process it killed.
	killedWithin = 2 * time.Second
	// orderWithin bounds an order as a whole; it is longer than killedWithin.
	orderWithin = 5 * time.Second
	maxOrder    = 4 << 10 // bytes
	tokenBytes  = 32
)

// controls are the parent's side of the controls.
type controls struct {
	cluster *cluster
	broker  Broker
	token   string // of the pages' orders
	// reportToken is that of the children's reports. Pages do not have it.
	reportToken string

	listener net.Listener
	server   *http.Server
	served   chan struct{} // closed when the server has ended
}

// openControls begins to accept the children's reports, and orders if there is a
// broker; close ends it.
func openControls(c *cluster, b Broker) (*controls, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("listen for the controls of the nodes: %w", neterr.Cause(err))
	}
	o := &controls{cluster: c, broker: b, token: newToken(), reportToken: newToken(), listener: l, served: make(chan struct{})}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /ready", guarded(o.reportToken, func(r *http.Request) (struct{}, error) {
		var report readyReport
		if err := json.NewDecoder(http.MaxBytesReader(nil, r.Body, maxOrder)).Decode(&report); err != nil {
			return struct{}{}, badOrder("This report can't be read.")
		}
		if !c.reported(report.PID, report.URL) {
			return struct{}{}, badOrder("There is no such node.")
		}
		return struct{}{}, nil
	}))
	if b != nil {
		o.registerOrders(mux)
	}
	o.server = &http.Server{Handler: mux, ReadHeaderTimeout: orderWithin, ReadTimeout: orderWithin, WriteTimeout: 2 * orderWithin, IdleTimeout: time.Minute}
	go func() { // ends with close, which waits for it
		defer close(o.served)
		_ = o.server.Serve(l)
	}()
	return o, nil
}

// registerOrders adds the routes of the pages' orders.
func (o *controls) registerOrders(mux *http.ServeMux) {
	mux.HandleFunc("GET /state", guarded(o.token, func(*http.Request) (State, error) { return o.state(), nil }))
	mux.HandleFunc("POST /order", guarded(o.token, func(r *http.Request) (State, error) {
		var order Order
		if err := json.NewDecoder(http.MaxBytesReader(nil, r.Body, maxOrder)).Decode(&order); err != nil {
			return State{}, badOrder("This order can't be read.")
		}
		return o.execute(r.Context(), order)
	}))
}

func newToken() string {
	var random [tokenBytes]byte
	_, _ = rand.Read(random[:]) // never fails (crypto/rand)
	return hex.EncodeToString(random[:])
}

func (o *controls) close() {
	_ = o.server.Close()
	<-o.served
}

// guarded answers requests that have the token.
func guarded[T any](token string, do func(*http.Request) (T, error)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		var answer T
		err := error(&Refusal{http.StatusForbidden, "forbidden", "This is for the nodes of a demo alone."})
		if subtle.ConstantTimeCompare([]byte(r.Header.Get("Authorization")), []byte("Bearer "+token)) == 1 {
			answer, err = do(r)
		}
		w.Header().Set("Content-Type", "application/json")
		var no *Refusal
		switch {
		case errors.As(err, &no):
			w.WriteHeader(no.Status)
			_ = json.NewEncoder(w).Encode(no) // the child may be gone
		case err != nil:
			w.WriteHeader(http.StatusInternalServerError)
		default:
			_ = json.NewEncoder(w).Encode(answer)
		}
	}
}

// state returns the state of the cluster.
func (o *controls) state() State {
	s := State{Broker: BrokerRunning, Freeze: canFreeze}
	if o.broker.Stopped() {
		s.Broker = BrokerStopped
	}
	c := o.cluster
	c.mu.Lock()
	defer c.mu.Unlock()
	for i := range c.nodes {
		s.Nodes = append(s.Nodes, NodeState{i + 1, "http://127.0.0.1:" + strconv.Itoa(c.ports[i]), c.nodes[i].state})
	}
	return s
}

// execute executes an order, and returns the state after it.
func (o *controls) execute(ctx context.Context, order Order) (State, error) {
	ctx, cancel := context.WithTimeout(ctx, orderWithin)
	defer cancel()
	var err error
	switch order.Action {
	case Stop:
		err = o.stopBroker()
	case Start:
		o.broker.Start()
		o.cluster.startSoon()
	case Kill, Freeze, Wake, Drain:
		if order.Node < 1 || order.Node > len(o.cluster.nodes) {
			return State{}, badOrder("There is no such node.")
		}
		err = o.cluster.control(ctx, order)
	default:
		err = badOrder("There is no such action.")
	}
	if err != nil {
		return State{}, err
	}
	return o.state(), nil
}

// stopBroker stops the broker if all nodes have been ready: one that has never been
// ready ends the cluster when it cannot start.
func (o *controls) stopBroker() error {
	c := o.cluster
	c.mu.Lock()
	defer c.mu.Unlock()
	for i := range c.nodes {
		if !c.nodes[i].wasReady {
			return conflict("Node %d has not started yet.", i+1)
		}
	}
	o.broker.Stop()
	return nil
}

// control executes an order for one node. If the order ends the node's process, it waits
// for that.
func (c *cluster) control(ctx context.Context, order Order) error {
	c.mu.Lock()
	ended, err := c.controlLocked(order)
	c.mu.Unlock()
	if err != nil || ended == nil {
		return err
	}
	select {
	case <-ended:
	case <-ctx.Done():
	case <-time.After(killedWithin):
	}
	return nil
}

func (c *cluster) controlLocked(order Order) (ended <-chan struct{}, err error) {
	i := order.Node - 1
	n := &c.nodes[i]
	if c.ending {
		return nil, conflict("The demo is ending.")
	}
	if n.cmd == nil || n.state == NodeStarting {
		return nil, conflict("Node %d is just starting.", order.Node)
	}
	itself := order.Via == order.Node
	switch order.Action {
	case Kill:
		return c.killLocked(i, itself), nil
	case Freeze:
		return nil, c.freezeLocked(i, itself)
	case Wake:
		return nil, c.wakeLocked(i)
	}
	return nil, c.drainLocked(i)
}

func (c *cluster) killLocked(i int, itself bool) (ended <-chan struct{}) {
	n := &c.nodes[i]
	cmd := n.cmd
	n.state, n.asked = NodeStarting, true
	if itself {
		c.later(i, cmd, NodeStarting, cmd.Process.Kill)
		return nil
	}
	_ = cmd.Process.Kill() // unless it has ended by itself
	return n.ended
}

func (c *cluster) wakeLocked(i int) error {
	n := &c.nodes[i]
	if n.state != NodeFrozen {
		return nil
	}
	if err := wake(n.cmd.Process); err != nil {
		return conflict("Node %d can't be woken.", i+1)
	}
	n.state = NodeRunning
	return nil
}

func (c *cluster) drainLocked(i int) error {
	n := &c.nodes[i]
	switch n.state {
	case NodeFrozen:
		return conflict("Node %d is frozen: wake it first.", i+1)
	case NodeDraining:
		return nil
	}
	if err := n.cmd.Process.Signal(syscall.SIGTERM); err != nil { // Windows knows none
		return conflict("This system can't drain a single node.")
	}
	n.state, n.asked = NodeDraining, true
	return nil
}

func (c *cluster) freezeLocked(i int, itself bool) error {
	n := &c.nodes[i]
	switch {
	case !canFreeze:
		return conflict("This system can't freeze a process.")
	case n.state == NodeFrozen:
		return nil
	case n.state == NodeDraining:
		return conflict("Node %d is draining.", i+1)
	}
	awake := 0
	for k := range c.nodes {
		if c.nodes[k].state == NodeRunning {
			awake++
		}
	}
	if awake < 2 {
		return conflict("One node must stay awake to hear you.")
	}
	cmd := n.cmd
	n.state = NodeFrozen
	if itself {
		c.later(i, cmd, NodeFrozen, func() error { return freeze(cmd.Process) })
		return nil
	}
	if err := freeze(cmd.Process); err != nil {
		n.state = NodeRunning
		return conflict("Node %d can't be frozen.", i+1)
	}
	return nil
}

// later calls do after answerFirst, if the node still has the same process in the same
// state.
func (c *cluster) later(i int, cmd *exec.Cmd, state string, do func() error) {
	time.AfterFunc(answerFirst, func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		if n := &c.nodes[i]; !c.ending && n.cmd == cmd && n.state == state {
			_ = do() // unless it has ended by itself
		}
	})
}

// startSoon ends the waits of nodes for their restart.
func (c *cluster) startSoon() {
	for i := range c.nodes {
		select {
		case c.nodes[i].again <- struct{}{}:
		default:
		}
	}
}

// endFrozenLocked kills the frozen nodes, which ignore other signals.
func (c *cluster) endFrozenLocked() {
	for i := range c.nodes {
		if n := &c.nodes[i]; n.cmd != nil && n.state == NodeFrozen {
			_ = n.cmd.Process.Kill()
		}
	}
}
