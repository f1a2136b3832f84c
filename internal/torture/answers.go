package main

import (
	"net/http"
	"strings"
	"sync"
)

// answers passes requests on and notes each answer that says no more than that px
// does not know what went wrong: whatever is away, px has to say so.
type answers struct {
	mu  sync.Mutex
	odd []string
}

// RoundTrip implements http.RoundTripper.
func (a *answers) RoundTrip(req *http.Request) (*http.Response, error) {
	resp, err := http.DefaultTransport.RoundTrip(req)
	if err == nil && resp.StatusCode == http.StatusInternalServerError {
		a.note(req.Method + " " + req.URL.Path)
	}
	return resp, err
}

func (a *answers) note(what string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.odd = append(a.odd, what)
}

// answers notes a divergence for each, with what the processes say of it.
func (k *checker) answers(a *answers, procs []*process) {
	if len(a.odd) == 0 {
		return
	}
	for _, what := range a.odd {
		k.differ(what, "what is away, where something is (503)", "answered 500")
	}
	for _, p := range procs {
		if len(p.log.errors) > 0 {
			k.differ(p.name, "no error in its log", "%s", strings.Join(p.log.errors, "\n"))
		}
	}
}
