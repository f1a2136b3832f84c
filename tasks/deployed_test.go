package tasks

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/pxactions/px/internal/localenv"
	"github.com/pxactions/px/internal/testenv"
	"github.com/pxactions/px/model"
)

func clusterURL(scheme string, nodes ...*localenv.Node) string {
	var at []string
	for _, n := range nodes {
		at = append(at, n.Addr)
	}
	return scheme + "://" + strings.Join(at, ",")
}

// TestClusterWithTLS does what the queue does in a cluster that asks for a
// certificate.
func TestClusterWithTLS(t *testing.T) {
	t.Parallel()
	cert, key := testenv.Certificate(t)
	nodes := testenv.RedisCluster(t, 3, "--tls-cert-file", cert, "--tls-key-file", key, "--tls-ca-cert-file", cert, "--tls-cluster", "yes")
	url := clusterURL("rediss+cluster", nodes[:1]...) + "?ca_file=" + cert + "&cert_file=" + cert + "&key_file=" + key
	w := worldOn(t, url, QueueOptions{})
	if err := w.queue.Ping(t.Context()); err != nil {
		t.Fatal(err)
	}
	runs := map[string]bool{}
	for _, q := range Queues() {
		n, run, err := w.queue.Beat(t.Context(), q)
		if n != 1 || len(run) != 40 || err != nil {
			t.Errorf("beat of %s = %d, %q, %v", q, n, run, err)
		}
		runs[run] = true
	}
	if len(runs) < 2 {
		t.Errorf("all queues beat on one master: %v", runs)
	}
	e := everything()
	mustEnqueue(t, w.queue, e)
	if missing, _, err := w.queue.Missing(t.Context(), append(e.Arm, armOf(model.EventOverdue, 0))); len(missing) != 1 || err != nil {
		t.Errorf("missing %v, %v, want the one that was never armed", missing, err)
	}
	depths, err := w.queue.Depths(t.Context())
	if err != nil || depths[QueueEscalation].Scheduled != 5 || depths[QueueIntake].Pending != 1 || depths[QueueReminder].Scheduled != 2 {
		t.Errorf("depths %v, %v", depths, err)
	}
	if n := len(w.all(t)); n != 10 {
		t.Errorf("the inspector lists %d tasks, want 10", n)
	}
	if done, err := w.queue.Repair(t.Context()); err != nil || done.Total() != 0 {
		t.Errorf("repaired %+v, %v", done, err)
	}
	_, before, err := w.queue.Beat(t.Context(), "moved")
	if err != nil {
		t.Fatal(err)
	}
	moveSlot(t, nodes, beatKey("moved"))
	if n, after, err := w.queue.Beat(t.Context(), "moved"); n != 1 || after == before || err != nil {
		t.Errorf("beat after the move to another master = %d, %v, same run id: %t", n, err, after == before)
	}
}

// moveSlot gives the slot of a key, which is forgotten, to another master.
func moveSlot(t *testing.T, nodes []*localenv.Node, key string) {
	t.Helper()
	slot := testenv.Redis(t, nodes[0], "cluster", "keyslot", key)
	from := slices.IndexFunc(nodes, func(n *localenv.Node) bool {
		keys, _ := testenv.Redis(t, n, "keys", key).([]any)
		return len(keys) == 1
	})
	if from < 0 {
		t.Fatalf("no master has %s", key)
	}
	source, target := nodes[from], nodes[(from+1)%len(nodes)]
	id := testenv.Redis(t, target, "cluster", "myid")
	testenv.Redis(t, source, "del", key)
	testenv.Redis(t, target, "cluster", "setslot", slot, "importing", testenv.Redis(t, source, "cluster", "myid"))
	testenv.Redis(t, target, "cluster", "setslot", slot, "node", id)
	testenv.Redis(t, source, "cluster", "setslot", slot, "node", id)
}

// TestAMasterThatIsAwayStopsItsQueuesAlone: the others' pipelines are not held up.
func TestAMasterThatIsAwayStopsItsQueuesAlone(t *testing.T) {
	t.Parallel()
	nodes := testenv.RedisCluster(t, 3)
	w := worldOn(t, clusterURL("redis+cluster", nodes...), QueueOptions{})
	got := CheckRedis(t.Context(), w.rdb)
	if len(got) != 2 || !slices.ContainsFunc(got, func(s string) bool {
		return strings.Contains(s, "appendonly is off") && strings.Contains(s, nodes[2].Addr)
	}) {
		t.Errorf("told %q, want appendonly and no replica, of every master", got)
	}
	testenv.Redis(t, nodes[1], "config", "set", "maxmemory-policy", "allkeys-lru")
	testenv.Redis(t, nodes[0], "config", "set", "cluster-require-full-coverage", "yes")
	got = CheckRedis(t.Context(), w.rdb)
	if len(got) != 4 || !slices.ContainsFunc(got, func(s string) bool {
		return strings.HasPrefix(s, "maxmemory-policy is allkeys-lru") && strings.HasSuffix(s, "("+nodes[1].Addr+")")
	}) {
		t.Errorf("told %q, want the one master's policy and the other's coverage", got)
	}
	testenv.Redis(t, nodes[0], "config", "set", "cluster-require-full-coverage", "no")

	home := map[string]string{} // run ids by queue
	for _, q := range Queues() {
		_, home[q], _ = w.queue.Beat(t.Context(), q)
	}
	for _, n := range nodes {
		if info, _ := testenv.Redis(t, n, "info", "server").(string); infoFields(info)["run_id"] == home[QueueReminder] {
			if err := n.Kill(); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := w.queue.Ping(t.Context()); !errors.Is(err, model.ErrUnavailable) {
		t.Errorf("ping with a dead master = %v, want unavailable", err)
	}
	for _, q := range Queues() {
		if _, _, err := w.queue.Beat(t.Context(), q); (err != nil) != (home[q] == home[QueueReminder]) {
			t.Errorf("beat of %s = %v", q, err)
		}
	}
}
