package main

import (
	"io"
	"net"
	"sync"
	"time"
)

// proxy stands between px and a server, so that the way to it can be slow or cut,
// or lead to another.
type proxy struct {
	ln net.Listener

	mu      sync.Mutex
	target  string // unix socket
	conns   map[net.Conn]bool
	gate    chan struct{} // closed while bytes may pass
	delay   time.Duration // of each piece that passes
	refuses bool          // new connections are closed at once
	wg      sync.WaitGroup
}

func startProxy(target string) (*proxy, error) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	p := &proxy{ln: ln, target: target, conns: map[net.Conn]bool{}, gate: make(chan struct{})}
	close(p.gate)
	p.wg.Go(p.accept)
	return p, nil
}

func (p *proxy) addr() string { return p.ln.Addr().String() }

func (p *proxy) accept() {
	for {
		c, err := p.ln.Accept()
		if err != nil {
			return
		}
		p.wg.Go(func() { p.serve(c) })
	}
}

func (p *proxy) serve(c net.Conn) {
	defer func() { _ = c.Close() }()
	p.mu.Lock()
	refuses, target := p.refuses, p.target
	p.mu.Unlock()
	if refuses {
		return
	}
	up, err := net.Dial("unix", target)
	if err != nil {
		return
	}
	defer func() { _ = up.Close() }()
	p.keep(c, up)
	defer p.forget(c, up)
	done := make(chan struct{}, 2)
	for _, way := range [][2]net.Conn{{c, up}, {up, c}} {
		p.wg.Go(func() {
			_, _ = io.Copy(gated{way[1], p}, way[0])
			done <- struct{}{}
		})
	}
	<-done // one side has gone: the other goes with it
}

// gated passes bytes on while the gate is open.
type gated struct {
	to net.Conn
	p  *proxy
}

// Write implements io.Writer.
func (g gated) Write(b []byte) (int, error) {
	g.p.mu.Lock()
	gate, delay := g.p.gate, g.p.delay
	g.p.mu.Unlock()
	<-gate
	if delay > 0 {
		time.Sleep(delay)
	}
	return g.to.Write(b)
}

func (p *proxy) keep(cs ...net.Conn) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, c := range cs {
		p.conns[c] = true
	}
}

func (p *proxy) forget(cs ...net.Conn) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, c := range cs {
		delete(p.conns, c)
	}
}

// slow makes each piece take so long; 0: no more.
func (p *proxy) slow(d time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.delay = d
}

// hold lets nothing pass, as a network that drops everything does, until release.
func (p *proxy) hold() (release func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	gate := make(chan struct{})
	p.gate = gate
	return sync.OnceFunc(func() { close(gate) })
}

// cut breaks all connections and refuses new ones, until mended.
func (p *proxy) cut() (mend func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.refuses = true
	for c := range p.conns {
		_ = c.Close()
	}
	return func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		p.refuses = false
	}
}

// move leads to another server from now on. Connections to the one before are cut.
func (p *proxy) move(target string) {
	mend := p.cut()
	defer mend()
	p.mu.Lock()
	defer p.mu.Unlock()
	p.target = target
}

func (p *proxy) close() {
	_ = p.ln.Close()
	p.cut()
	p.wg.Wait()
}
