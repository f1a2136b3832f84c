package client

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sync"
)

// ErrSpoolFull says that the spool file has reached its limit.
var ErrSpoolFull = errors.New("spool is full")

// spool is an append-only file of events, one JSON object a line. An event is
// in it once its line ends in a newline that was synced; a torn last line was
// never promised to anyone.
type spool struct {
	mu       sync.Mutex
	path     string
	maxBytes int64
	size     int64
}

func openSpool(path string, maxBytes int64) (*spool, error) {
	if path == "" || maxBytes <= 0 {
		return nil, errors.New("client: WithSpool needs a file and a limit in bytes")
	}
	s := &spool{path: path, maxBytes: maxBytes}
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("open spool: %w", err)
	}
	defer func() { _ = f.Close() }()
	if s.size, err = wholeLines(f); err != nil {
		return nil, fmt.Errorf("read spool: %w", err)
	}
	if err := f.Truncate(s.size); err != nil {
		return nil, fmt.Errorf("cut the torn end of the spool: %w", err)
	}
	return s, syncDir(path)
}

// wholeLines is how many bytes of a file lie before the end of its last line.
func wholeLines(f *os.File) (int64, error) {
	size, err := f.Seek(0, io.SeekEnd)
	if err != nil {
		return 0, err
	}
	buf := make([]byte, 64<<10)
	for end := size; end > 0; {
		n := min(end, int64(len(buf)))
		if _, err := f.ReadAt(buf[:n], end-n); err != nil {
			return 0, err
		}
		if i := bytes.LastIndexByte(buf[:n], '\n'); i >= 0 {
			return end - n + int64(i) + 1, nil
		}
		end -= n
	}
	return 0, nil
}

// add appends events and returns once they are on the disk.
func (s *spool) add(ls [][]byte) (err error) {
	if len(ls) == 0 {
		return nil
	}
	var b bytes.Buffer
	for _, l := range ls {
		if err := json.Compact(&b, l); err != nil {
			return errors.New("an event is not JSON")
		}
		b.WriteByte('\n')
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.size+int64(b.Len()) > s.maxBytes {
		return fmt.Errorf("%w: %d of %d bytes are used", ErrSpoolFull, s.size, s.maxBytes)
	}
	f, err := os.OpenFile(s.path, os.O_WRONLY|os.O_CREATE, 0o600)
	if err != nil {
		return fmt.Errorf("open spool: %w", err)
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	// A write that failed half-way may have left a torn line: write over it.
	if err := f.Truncate(s.size); err != nil {
		return fmt.Errorf("write spool: %w", err)
	}
	if _, err := f.WriteAt(b.Bytes(), s.size); err != nil {
		return fmt.Errorf("write spool: %w", err)
	}
	if err := f.Sync(); err != nil {
		return fmt.Errorf("sync spool: %w", err)
	}
	s.size += int64(b.Len())
	return nil
}

// next reads up to one request's worth of events from an offset, and where they
// end.
func (s *spool) next(from int64) ([][]byte, int64, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	f, err := os.Open(s.path)
	if err != nil {
		return nil, from, fmt.Errorf("open spool: %w", err)
	}
	defer func() { _ = f.Close() }()
	r := bufio.NewReader(io.NewSectionReader(f, from, s.size-from))
	var ls [][]byte
	for size := 0; len(ls) < batchItems && size < batchBytes; {
		l, err := r.ReadBytes('\n')
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, from, fmt.Errorf("read spool: %w", err)
		}
		from += int64(len(l))
		size += len(l)
		ls = append(ls, bytes.TrimSpace(l))
	}
	return ls, from, nil
}

// drop takes the first n bytes out of the file and puts the lines in left,
// which are still to be delivered, at its start. A crash leaves the old file or
// the new one.
func (s *spool) drop(n int64, left [][]byte) (err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	tmp, err := os.CreateTemp(filepath.Dir(s.path), filepath.Base(s.path)+".new*")
	if err != nil {
		return fmt.Errorf("rewrite spool: %w", err)
	}
	defer func() {
		if err != nil {
			err = fmt.Errorf("rewrite spool: %w", errors.Join(err, os.Remove(tmp.Name())))
		}
	}()
	size, err := s.copyRest(tmp, n, left)
	if err = errors.Join(err, tmp.Close()); err != nil {
		return err
	}
	if err = os.Rename(tmp.Name(), s.path); err != nil {
		return err
	}
	s.size = size
	return syncDir(s.path)
}

func (s *spool) copyRest(to *os.File, n int64, left [][]byte) (int64, error) {
	var size int64
	for _, l := range left {
		k, err := to.Write(append(bytes.Clone(l), '\n'))
		if err != nil {
			return 0, err
		}
		size += int64(k)
	}
	f, err := os.Open(s.path)
	if err != nil {
		return 0, err
	}
	defer func() { _ = f.Close() }()
	k, err := io.Copy(to, io.NewSectionReader(f, n, s.size-n))
	return size + k, errors.Join(err, to.Sync())
}

// reject keeps refused events beside the spool, each with the reason.
func (s *spool) reject(ls [][]byte, why []*Problem) (err error) {
	f, err := os.OpenFile(s.path+".rejected", os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		return fmt.Errorf("open rejected events: %w", err)
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	for i, l := range ls {
		b, err := json.Marshal(struct {
			Event   json.RawMessage `json:"event"`
			Problem *Problem        `json:"problem"`
		}{l, why[i]})
		if err != nil {
			return fmt.Errorf("write rejected events: %w", err)
		}
		if _, err := f.Write(append(b, '\n')); err != nil {
			return fmt.Errorf("write rejected events: %w", err)
		}
	}
	return f.Sync()
}

// syncDir makes a new or renamed file's name durable.
func syncDir(path string) error {
	d, err := os.Open(filepath.Dir(path))
	if err != nil {
		return fmt.Errorf("open the spool's folder: %w", err)
	}
	return errors.Join(d.Sync(), d.Close())
}

// Flushed is what Flush did.
type Flushed struct {
	Delivered int   // accepted now or before, or quarantined
	Rejected  int   // refused for good, moved to the file of rejected events
	LeftBytes int64 // still in the spool
}

// Flush delivers what waits in the spool. It stops at the first request that
// the intake does not answer, or refuses as a whole (a wrong key), and returns
// that error; what was not delivered stays. Events may be spooled meanwhile.
// Without a spool it does nothing.
func (c *Client) Flush(ctx context.Context) (Flushed, error) {
	var done Flushed
	if c.spool == nil {
		return done, nil
	}
	c.flushing.Lock()
	defer c.flushing.Unlock()
	var from int64
	var left [][]byte
	var err error
	for {
		var ls [][]byte
		var end int64
		if ls, end, err = c.spool.next(from); err != nil || len(ls) == 0 {
			break
		}
		var items []Receipt
		items, err = c.deliver(ctx, ls)
		still, serr := c.settle(ls, items, &done)
		left, from = append(left, still...), end
		if err = errors.Join(err, serr); err != nil {
			break
		}
	}
	if from > 0 {
		err = errors.Join(err, c.spool.drop(from, left))
	}
	c.spool.mu.Lock()
	defer c.spool.mu.Unlock()
	done.LeftBytes = c.spool.size
	return done, err
}

// settle sorts delivered from refused events and returns those to keep.
func (c *Client) settle(ls [][]byte, items []Receipt, done *Flushed) ([][]byte, error) {
	var left, refused [][]byte
	var why []*Problem
	for i, it := range items {
		switch {
		case it.Status != StatusError:
			done.Delivered++
		case it.Problem != nil && !it.Problem.Temporary():
			refused, why = append(refused, ls[i]), append(why, it.Problem)
		default:
			left = append(left, ls[i])
		}
	}
	if len(refused) == 0 {
		return left, nil
	}
	if err := c.spool.reject(refused, why); err != nil {
		return append(left, refused...), err
	}
	done.Rejected += len(refused)
	return left, nil
}
