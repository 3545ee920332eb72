package browser

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/chromedp"

	"example.com/chat/web"
)

// cluster is a demo with a script, as the page of the cluster sees one. Whichever
// of its nodes one asks, it is one stage that answers.
type cluster struct {
	*stage

	urls []string // of its nodes

	mu     sync.Mutex // guards the fields below
	nodes  []map[string]any
	states []string // of the demo's nodes
	broker string
	acts   []string
}

// token is what controls the demo of a stage.
const token = "0123456789abcdef"

func newCluster(t *testing.T, nodes int) *cluster {
	t.Helper()
	c := &cluster{stage: newStage(t), broker: "running"}
	c.id = "node-1"
	for k := range nodes {
		c.states = append(c.states, "running")
		c.nodes = append(c.nodes, map[string]any{
			"id": fmt.Sprintf("node-%d", k+1), "state": "ready", "users": 2 + k*k*5, "connections": 3 + k*k*5, "rooms": 2 + k,
			"rate": 1.0 + float64(k)/10, "rtt_ms": 0.4 + float64(k), "age_ms": 400, "seen_ms": 300,
		})
	}
	pages := web.Handler(web.Access{UI: "demo"})
	mux := http.NewServeMux()
	mux.HandleFunc("/ws", c.stage.serve)
	mux.HandleFunc("/api/nodes", func(w http.ResponseWriter, _ *http.Request) {
		c.mu.Lock()
		defer c.mu.Unlock()
		answer(w, map[string]any{"nodes": c.nodes})
	})
	mux.HandleFunc("/cluster", func(w http.ResponseWriter, r *http.Request) {
		page := httptest.NewRecorder()
		r.Header.Del("Accept-Encoding")
		pages.ServeHTTP(page, r)
		w.Header().Set("Content-Security-Policy", page.Header().Get("Content-Security-Policy"))
		fmt.Fprint(w, strings.Replace(page.Body.String(), `name="control" content=""`, `name="control" content="`+token+`"`, 1))
	})
	mux.HandleFunc("/cluster/state", func(w http.ResponseWriter, _ *http.Request) { answer(w, c.state()) })
	mux.HandleFunc("/cluster/control", func(w http.ResponseWriter, r *http.Request) {
		var act struct {
			Token, Action string
			Node          int
		}
		if err := json.NewDecoder(r.Body).Decode(&act); err != nil || act.Token != token {
			w.WriteHeader(http.StatusForbidden)
			return
		}
		c.mu.Lock()
		c.acts = append(c.acts, strings.TrimSuffix(fmt.Sprint(act.Action, " ", act.Node), " 0"))
		c.mu.Unlock()
		answer(w, c.state())
	})
	mux.HandleFunc("/api/trace", func(w http.ResponseWriter, r *http.Request) {
		answer(w, c.noted(r.Host))
	})
	mux.Handle("/", pages)
	for k := range c.nodes {
		server := httptest.NewServer(mux)
		t.Cleanup(func() {
			server.CloseClientConnections()
			server.Close()
		})
		c.nodes[k]["url"] = server.URL
		c.urls = append(c.urls, server.URL)
	}
	c.URL = c.urls[0]
	return c
}

func answer(w http.ResponseWriter, v any) {
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(v) // the page may be gone
}

func (c *cluster) state() map[string]any {
	c.mu.Lock()
	defer c.mu.Unlock()
	var nodes []map[string]any
	for k, state := range c.states {
		nodes = append(nodes, map[string]any{"node": k + 1, "url": c.urls[k], "state": state})
	}
	return map[string]any{"nodes": nodes, "broker": c.broker, "freeze": true}
}

// noted returns what the node at a host recorded of any message.
func (c *cluster) noted(host string) map[string]any {
	c.mu.Lock()
	defer c.mu.Unlock()
	now := time.Now().UnixMicro()
	ago := func(ms float64) int64 { return now - int64(ms*1000) }
	for k, node := range c.nodes {
		if node["url"] != "http://"+host {
			continue
		}
		noted := map[string]any{"node": node["id"], "now": now, "heard": ago(4 - float64(k)/2), "handed": ago(3.5 - float64(k)/2)}
		if k == 0 {
			noted["received"], noted["append_began"], noted["append_ended"] = ago(6), ago(5.8), ago(4.5)
		}
		return noted
	}
	return nil
}

// set changes the state that the cluster reports.
func (c *cluster) set(change func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	change()
}

// clusterScenes are the states of the cluster's page that are photographed.
var clusterScenes = []struct {
	name  string
	nodes int
	act   func(c *cluster, p *tab)
}{
	{"three", 3, func(*cluster, *tab) {}},
	{"ill", 4, func(c *cluster, p *tab) {
		c.set(func() {
			c.states[1], c.states[2] = "frozen", "starting"
			c.nodes = append(c.nodes[:2:2], c.nodes[3])
		})
		p.until("the frozen node", `/frozen/.test(document.querySelector("#nodes").innerText) && /starting/.test(document.querySelector("#nodes").innerText)`)
	}},
	{"stopped", 3, func(c *cluster, p *tab) {
		p.run(`document.querySelector('[aria-label="Stop Redis"]').click()`)
		c.set(func() { c.broker = "stopped" })
		p.until("a Redis that is stopped", `document.querySelector('[aria-label="Start Redis"]')`)
	}},
	{"trace", 3, func(_ *cluster, p *tab) {
		p.run(`document.querySelector("#trace").click()`)
		p.until("the way", `document.querySelector("#hops li")`)
	}},
	{"many", 12, func(*cluster, *tab) {}},
}

func playCluster(t *testing.T, nodes int, l look, act func(c *cluster, p *tab)) *tab {
	t.Helper()
	c := newCluster(t, nodes)
	p := newTab(t)
	p.size(l.width, l.height)
	p.prefers(l.dark)
	p.goTo(c.URL + "/cluster")
	p.run(fmt.Sprintf(`document.documentElement.dir = %q`, l.w.dir))
	p.until("the nodes", fmt.Sprintf(`document.querySelectorAll("#nodes tr").length === %d`, nodes+1))
	p.until("messages", `document.querySelector("#delivered").textContent > 0`)
	act(c, p)
	p.run("new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")
	return p
}

func TestPicturesOfTheCluster(t *testing.T) {
	dir := pictures(t)
	for _, sc := range clusterScenes {
		for _, size := range [][2]int64{{1440, 900}, {1024, 768}, {390, 844}, {320, 568}} {
			for _, dark := range []bool{false, true} {
				for _, w := range []words{leftToRight, rightToLeft} {
					t.Run(fmt.Sprintf("%s-%d-%s-%s", sc.name, size[0], shade(dark), w.dir), func(t *testing.T) {
						p := playCluster(t, sc.nodes, look{size[0], size[1], dark, w}, sc.act)
						picture, err := chromedp.Run(p.ctx, chromedp.CaptureScreenshot())
						if err != nil {
							t.Fatal(err)
						}
						name := fmt.Sprintf("cluster-%s-%d-%s-%s.png", sc.name, size[0], shade(dark), w.dir)
						if err := os.WriteFile(filepath.Join(dir, name), picture, 0o644); err != nil {
							t.Fatal(err)
						}
						if wide := ask[int](p, "document.documentElement.scrollWidth"); int64(wide) > size[0] {
							t.Errorf("the page is %d pixels wide", wide)
						}
						p.sound()
					})
				}
			}
		}
	}
}

func TestAxeFindsNothingOnTheClustersPage(t *testing.T) {
	t.Parallel()
	script := axe(t)
	for _, sc := range clusterScenes {
		for _, l := range []look{{1440, 900, false, leftToRight}, {390, 844, true, rightToLeft}} {
			t.Run(fmt.Sprintf("%s-%d", sc.name, l.width), func(t *testing.T) {
				t.Parallel()
				p := playCluster(t, sc.nodes, l, sc.act)
				p.do(runs(script))
				for _, one := range ask[[]string](p, found) {
					t.Error(one)
				}
				// Letters of twice the size fit, too.
				p.size(320, 568)
				p.run(lettersNoted)
				p.run(`document.documentElement.style.fontSize = "200%"`)
				for _, one := range ask[[]string](p, ungrown) {
					t.Errorf("it did not grow: %s", one)
				}
				if wide := ask[int](p, "document.documentElement.scrollWidth"); wide > 320 {
					t.Errorf("the page is %d pixels wide", wide)
				}
				p.picture(fmt.Sprintf("letters-cluster-%s-%d", sc.name, l.width))
				p.sound()
			})
		}
	}
}

// clusterOf opens the page of a demo's cluster on its first node.
func clusterOf(t *testing.T, nodes int) *tab {
	t.Helper()
	c := start(t, fmt.Sprintf("--nodes=%d", nodes))
	for k := range nodes {
		c.url(k + 1)
	}
	p := open(t, c.url(1)+"/cluster")
	p.until("all nodes", fmt.Sprintf(`[...document.querySelectorAll("#nodes tr")].filter((tr) => /^Node .*running/.test(tr.textContent)).length === %d`, nodes))
	p.until("messages of all to all", fmt.Sprintf(`document.querySelector("#delivered").textContent > %d`, 2*nodes))
	return p
}

// orders presses a button of the table.
func (p *tab) orders(label string) {
	p.t.Helper()
	p.until("a button "+label, fmt.Sprintf(`document.querySelector('[aria-label=%q]')?.ariaDisabled === "false"`, label))
	p.do(chromedp.Click(fmt.Sprintf(`[aria-label=%q]`, label)))
}

// told waits until the page reports an outcome in words that match.
func (p *tab) told(pattern string) {
	p.t.Helper()
	p.within(40*time.Second, pattern, fmt.Sprintf(`/%s/.test(document.querySelector("#told").textContent)`, pattern))
}

// flawless checks that messages continue, and that none was lost or arrived twice.
func (p *tab) flawless() {
	p.t.Helper()
	before := ask[int](p, `Number(document.querySelector("#delivered").textContent.replaceAll(",", ""))`)
	p.until("further messages", fmt.Sprintf(`document.querySelector("#delivered").textContent.replaceAll(",", "") > %d`, before+3))
	if got := ask[string](p, `document.querySelector("#lost").textContent + " lost, " + document.querySelector("#doubled").textContent + " doubled"`); got != "0 lost, 0 doubled" {
		p.t.Errorf("%s", got)
	}
	p.sound()
}

// The node that served the page is killed, and nothing is lost.
func TestThePageOfTheClusterOutlivesItsNode(t *testing.T) {
	t.Parallel()
	p := clusterOf(t, 3)
	p.orders("Kill Node 1")
	p.told(`^Node 1 was killed\. Its browser went on at node [23] after [\d.]+ s.*\. Nothing was lost\. It is running again\.$`)
	p.flawless()
	p.orders("Drain Node 3")
	p.told(`^Node 3 was drained\. .* Nothing was lost\. It is running again\.$`)
	p.flawless()
}

func TestAFrozenNodeIsLeftAndWakesAgain(t *testing.T) {
	t.Parallel()
	p := clusterOf(t, 2)
	p.orders("Freeze Node 2")
	p.told(`^Node 2 is frozen\. Its browser went on at node 1 after [\d.]+ s.*\. Nothing was lost\.$`)
	p.orders("Freeze Node 1")
	p.told(`^One node must stay awake to hear you\.$`)
	p.orders("Wake Node 2")
	p.told(`^Node 2 is awake again\. Nothing was lost\.$`)
	p.until("a node that runs", `/^Node 2.*running/.test(document.querySelectorAll("#nodes tr")[1].textContent)`)
	p.flawless()
}

func TestWhatIsSaidWhileRedisIsStoppedGoesOutLater(t *testing.T) {
	t.Parallel()
	p := clusterOf(t, 2)
	p.orders("Stop Redis")
	p.told(`^Redis is stopped\. What is written now is kept, and waits\.$`)
	p.until("a Redis that is stopped", `/^Redis.*stopped/.test(document.querySelector("#nodes").lastElementChild.textContent)`)
	p.orders("Start Redis")
	p.told(`^Redis is back\. Nothing was lost\.$`)
	p.flawless()
}

// Without a demo a person can look, and run a check.
func TestOutsideOfTheDemoThePageOfTheClusterOnlyLooks(t *testing.T) {
	t.Parallel()
	p := open(t, start(t).url(1)+"/cluster")
	p.until("the node", `/^Node 1.*running/.test(document.querySelector("#nodes").textContent)`)
	if shown := ask[int](p, `[...document.querySelectorAll("#nodes button, #figures, #lead-demo")].filter((e) => e.checkVisibility()).length`); shown != 0 {
		t.Errorf("%d parts of the demo are shown", shown)
	}
	p.do(chromedp.Click("#run"))
	p.until("a check", `document.querySelector("#delivered").textContent > 1`)
	p.flawless()
	p.until("a user", `document.querySelector("#nodes td span + span").textContent === "1"`)
	p.do(chromedp.Click("#run"))
	p.until("its end", `document.querySelector("#run").textContent === "Run a check"`)
	p.do(chromedp.Click("#trace"))
	p.until("a way", `document.querySelectorAll("#hops li").length === 7`)
	p.sound()
}

// Two of them see the same cluster, and count each their own.
func TestTwoPagesOfTheClusterDontDisturbEachOther(t *testing.T) {
	t.Parallel()
	c := start(t, "--nodes=2")
	a, b := open(t, c.url(1)+"/cluster"), open(t, c.url(2)+"/cluster")
	for _, p := range []*tab{a, b} {
		p.until("both pages' clients", `[...document.querySelectorAll("#nodes td:nth-child(2) span + span")].slice(0, 2).every((e) => e.textContent === "2")`)
	}
	a.orders("Kill Node 2")
	a.told(`Nothing was lost\. It is running again\.$`)
	for _, p := range []*tab{a, b} {
		p.until("a node without users", `/^Node 2 *Users0.*running/.test(document.querySelectorAll("#nodes tr")[1].textContent)`)
		p.flawless()
	}
}

func TestAMessageIsTracedThroughAllNodes(t *testing.T) {
	t.Parallel()
	p := clusterOf(t, 3)
	p.do(chromedp.Click("#trace"))
	p.until("its way", `(() => {
		const hops = [...document.querySelectorAll("#hops li")].map((li) => li.firstElementChild.textContent);
		return /^Browser to node [123]$/.test(hops[0]) && hops.includes("Into Redis, and the answer") &&
			[1, 2, 3].every((k) => hops.includes("Redis to node " + k) && hops.includes("Node " + k + " to its browser"));
	})()`)
	p.sound()
}
