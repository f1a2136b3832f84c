package web_test

import (
	"encoding/json"
	"net/http"
	"testing"

	"github.com/rs/zerolog"

	"github.com/pxactions/px/internal/scenario"
	"github.com/pxactions/px/internal/testenv"
	"github.com/pxactions/px/model"
	"github.com/pxactions/px/tasks"
	"github.com/pxactions/px/web"
)

func TestDashboardTellsOfACluster(t *testing.T) {
	t.Parallel()
	nodes := testenv.RedisCluster(t, 2)
	rdb, err := tasks.NewRedis("redis+cluster://"+nodes[0].Addr, tasks.RedisOptions{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = rdb.Close() })
	s := &site{World: scenario.New(t, nil), rdb: rdb}
	s.h, err = web.New(web.Options{Store: s.Store, Redis: rdb, Engine: s.Engine, Log: zerolog.Nop()})
	if err != nil {
		t.Fatal(err)
	}
	q := tasks.NewQueue(rdb, tasks.QueueOptions{})
	if _, err := q.Repair(t.Context()); err != nil { // registers the queues
		t.Fatal(err)
	}
	if _, err := q.Enqueue(t.Context(), tasks.Effects{Send: []tasks.Send{{MessageID: model.NewID[model.Message]()}}}); err != nil {
		t.Fatal(err)
	}
	var about struct {
		Address string `json:"address"`
		Cluster bool   `json:"cluster"`
		Info    map[string]string
		Queues  []struct {
			Queue string
			Nodes []string
		} `json:"queue_locations"`
	}
	code, text := s.get(t, "/asynq/api/redis_info")
	if err := json.Unmarshal([]byte(text), &about); err != nil || code != http.StatusOK {
		t.Fatalf("redis info = %d %s", code, text)
	}
	if !about.Cluster || about.Address != nodes[0].Addr || about.Info["cluster_state"] != "ok" || len(about.Queues) != len(tasks.Queues()) {
		t.Errorf("about = %+v", about)
	}
	homes := map[string]bool{}
	for _, q := range about.Queues {
		for _, n := range q.Nodes {
			homes[n] = true
		}
	}
	if !homes[nodes[0].Addr] || !homes[nodes[1].Addr] {
		t.Errorf("the queues are on %v, want both nodes", homes)
	}
	if code, text := s.get(t, "/asynq/api/queues"); code != http.StatusOK {
		t.Errorf("queues = %d %s", code, text)
	}
	if code, text := s.get(t, "/asynq/api/servers"); code != http.StatusOK {
		t.Errorf("servers = %d %s", code, text)
	}
}
