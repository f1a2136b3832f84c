package receiver

import (
	"context"
	"fmt"
	"sync"
	"time"
)

// Fault is how a receiver treats one delivery. The zero value takes it.
type Fault struct {
	// Status is the answer: 451, 550 by mail; 503, 410, 302 by HTTP. Zero: the usual one.
	Status int
	// At is the mail command that is answered with Status: MAIL, RCPT or DATA (after the whole message was
	// read). Empty: RCPT.
	At string
	// Header is added to an HTTP answer: Retry-After, Location.
	Header map[string]string
	// Say is the text of an answer that is not the usual one: what a mail server says, the body of an HTTP
	// answer. Empty: no body, and by mail whom it was for.
	Say string
	// Wait is how long an HTTP answer takes, if the sender stays for it.
	Wait time.Duration
	// Hang reads everything, then never answers, until the sender leaves or the receiver closes.
	Hang bool
	// Drop reads everything, then cuts the connection without an answer.
	Drop bool
}

// book records deliveries of type T in the order of their arrival, and holds
// what is to happen to the next ones. Its zero value is ready.
type book[T any] struct {
	mu      sync.Mutex
	all     []T
	next    []Fault
	always  *Fault
	changed chan struct{} // closed at the next delivery; nil while nobody waits
}

// plan adds what is to happen to the next deliveries, one each.
func (b *book[T]) plan(next ...Fault) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.next = append(b.next, next...)
}

// keep sets what happens to every delivery that has no plan of its own; nil takes them again.
func (b *book[T]) keep(f *Fault) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.always = f
}

// fault takes the plan of one delivery.
func (b *book[T]) fault() Fault {
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.next) > 0 {
		f := b.next[0]
		b.next = b.next[1:]
		return f
	}
	if b.always != nil {
		return *b.always
	}
	return Fault{}
}

func (b *book[T]) add(v T) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.all = append(b.all, v)
	if b.changed != nil {
		close(b.changed)
		b.changed = nil
	}
}

func (b *book[T]) list(want func(T) bool) []T {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.filter(want)
}

// filter needs the lock.
func (b *book[T]) filter(want func(T) bool) []T {
	var found []T
	for _, v := range b.all {
		if want(v) {
			found = append(found, v)
		}
	}
	return found
}

// wait returns as soon as there are n wanted ones, with all of them; else, when ctx ends, those there are and an error.
func (b *book[T]) wait(ctx context.Context, n int, want func(T) bool) ([]T, error) {
	for {
		b.mu.Lock()
		found := b.filter(want)
		if b.changed == nil {
			b.changed = make(chan struct{})
		}
		changed := b.changed
		b.mu.Unlock()
		if len(found) >= n {
			return found, nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return found, fmt.Errorf("wait for %d deliveries, have %d: %w", n, len(found), ctx.Err())
		}
	}
}
