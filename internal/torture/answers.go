package main

import (
	"net/http"
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

// answers notes a divergence for each.
func (k *checker) answers(a *answers) {
	for _, what := range a.odd {
		k.differ(what, "what is away, where something is (503)", "answered 500")
	}
}
