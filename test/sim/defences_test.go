package sim_test

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"example.com/chat/internal/chattest"
)

// defence is a piece of code without which a promise does not hold.
type defence struct {
	name string
	// file holds it, relative to the module's root; without replaces have by want.
	file, have, want string
	// pack and test name the test that must fail then.
	pack, test string
	env        []string // of the test
}

// seeds are enough for the simulation to meet what a missing defence allows.
var seeds = []string{"CHAT_SEED=1", "CHAT_COUNT=60"}

// allDefences are removed one by one.
var allDefences = []defence{
	{
		"a gap is detected, and read from the log", "internal/replica/replica.go",
		"return p.After == head && p.ID.Seq == head.Seq+1 && p.ID.MS >= head.MS", "return p.ID.Seq > head.Seq",
		"test/sim", "TestWhateverBreaks", seeds,
	},
	{
		"an entry that follows by its seq alone is not delivered", "internal/replica/replica.go",
		"return p.After == head && p.ID.Seq == head.Seq+1", "return p.ID.Seq == head.Seq+1",
		"internal/replica", "TestScripts", nil,
	},
	{
		"a cursor is looked up as the exact id", "internal/redisbroker/scripts/read.lua",
		"list[1].id == from then", "list[1].id ~= '' then",
		"internal/redisbroker", "TestOnTheEmbeddedBroker/Contract/TheLogIsCappedAndReadFromCursors", nil,
	},
	{
		"a key is accepted once", "internal/redisbroker/scripts/append.lua",
		"  elseif d.was then", "  elseif false then",
		"test/sim", "TestWhateverBreaks", seeds,
	},
	{
		"entries missing after a cursor are counted", "internal/redisbroker/scripts/read.lua",
		"text(low)) < missing then", "text(low)) < 0 then",
		"internal/redisbroker", "TestOnTheEmbeddedBroker/Contract/SupersededChangesLeaveAGapThatIsTold", nil,
	},
	{
		"changes are applied to the messages in memory", "internal/replica/memory.go",
		"mem.messages.apply(c)", "",
		"internal/room", "TestDeletedEntriesLeaveANodesMemory", nil,
	},
	{
		"the probe finds a dead subscription", "internal/redisbroker/probe.go",
		"return probeLost - time.Since(last)", "return probeLost + 0*time.Since(last)",
		"test/sim", "TestTheProbeFindsADeafSubscription", nil,
	},
	{
		"the audit finds that the last post was lost", "internal/room/rooms.go",
		"r.log.compare(heads[i])", "_, _ = r, heads[i]",
		"internal/room", "TestALostLastPostIsFoundByTheAudit", nil,
	},
	{
		"an append is recorded for the audit", "internal/redisbroker/scripts/append.lua",
		"redis.pcall('XADD', KEYS[9], 'MAXLEN', '~', 256, '*', 'room', ARGV[4])", "",
		"internal/redisbroker", "TestALostRecordOfAppendsHasAllRoomsCompared", nil,
	},
	{
		"entries of a dead node are removed", "internal/redisbroker/lease.go",
		"if len(dead) > 0 && ", "if false && ",
		"internal/redisbroker", "TestOnTheEmbeddedBroker/PresenceIsWorthAsMuchAsItsLease", nil,
	},
	{
		"a lost lease is detected", "internal/redisbroker/scripts/lease.lua",
		"(ends and ends > now and writes >= tonumber(ARGV[8]))", "true",
		"test/sim", "TestWhateverBreaks", seeds,
	},
	{
		"late writes of a frozen node are found", "internal/redisbroker/presence.go",
		"time.Since(began) > noteHolds", "time.Since(began) < 0",
		"internal/redisbroker", "TestWhatAFrozenNodeWritesLateIsFound", nil,
	},
	{
		"a lost log is reported", "internal/room/follow.go",
		"r.broadcastLocked(protocol.Reset(r.name, head), nil)", "",
		"test/sim", "TestWhateverBreaks", seeds,
	},
	{
		"a reply is matched to its call", "internal/redisbroker/log.go",
		"echo != member(d)", "member(d) != member(d) && echo != echo",
		"internal/redisbroker", "TestAReplyOfAnotherCallIsRefused", nil,
	},
}

// Without a defence its test fails: so each defence is needed, and each test finds that it
// is missing.
func TestWithoutADefenceItsTestFails(t *testing.T) {
	if chattest.Race {
		t.Skip("the race detector finds nothing here, and each defence needs a build of its own")
	}
	chattest.NeedLong(t)
	root, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range allDefences {
		t.Run(d.name, func(t *testing.T) {
			t.Parallel() // mostly waits that time out
			out, err := d.without(t, root)
			if err == nil {
				t.Errorf("%s of %s passes without it", d.test, d.pack)
			} else if !strings.Contains(out, "--- FAIL: "+d.test) {
				t.Errorf("%s is not what failed: %v\n%s", d.test, err, out)
			}
		})
	}
}

// TestEachDefenceIsInItsFile takes no time, so a change of the code that forgets its
// defence fails in each run.
func TestEachDefenceIsInItsFile(t *testing.T) {
	t.Parallel()
	root, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range allDefences {
		t.Run(d.name, func(t *testing.T) { d.source(t, root) })
	}
}

// source returns the file that has the defence: its name and text.
func (d *defence) source(t *testing.T, root string) (name, text string) {
	t.Helper()
	name = filepath.Join(root, d.file)
	source, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	if strings.Count(string(source), d.have) != 1 {
		t.Fatalf("%s does not contain %q exactly once: update the defence", d.file, d.have)
	}
	return name, string(source)
}

// without runs the test on a program without the defence.
func (d *defence) without(t *testing.T, root string) (string, error) {
	t.Helper()
	name, source := d.source(t, root)
	changed := filepath.Join(t.TempDir(), filepath.Base(d.file))
	if err := os.WriteFile(changed, []byte(strings.Replace(source, d.have, d.want, 1)), 0o600); err != nil {
		t.Fatal(err)
	}
	overlay := filepath.Join(t.TempDir(), "overlay.json")
	list, err := json.Marshal(map[string]map[string]string{"Replace": {name: changed}})
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(overlay, list, 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), "go", "test", "-overlay="+overlay, "-count=1", "-vet=off", "-run=^"+d.test+"$", "./"+d.pack)
	cmd.Dir = root
	cmd.Env = append(chattest.WithoutSettings(os.Environ()), d.env...)
	out, err := cmd.CombinedOutput()
	return string(out), err
}
