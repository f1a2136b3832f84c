package files

import (
	"errors"
	"fmt"
	"io"
)

// source is a file on its way in. It remembers its own error, which is not the
// storage's, and ends with one at the limit.
type source struct {
	r     io.Reader
	left  int64 // bytes that may still come
	limit int64
	err   error
}

// Read implements io.Reader.
func (s *source) Read(p []byte) (int, error) {
	if s.err != nil {
		return 0, s.err
	}
	if int64(len(p)) > s.left+1 {
		p = p[:s.left+1] // one more than allowed tells that it is too much
	}
	n, err := s.r.Read(p)
	if int64(n) > s.left {
		s.err = fieldError("size", "a file of at most "+sizeWords(s.limit))
		return 0, s.err
	}
	s.left -= int64(n)
	if err != nil && !errors.Is(err, io.EOF) {
		s.err = fmt.Errorf("read the file that is sent: %w", err)
		return n, s.err
	}
	return n, err
}

// head reads what the type is judged by. There is at least one byte of it.
func (s *source) head() ([]byte, error) {
	buf := make([]byte, headSize)
	n, err := io.ReadFull(s, buf)
	switch {
	case s.err != nil:
		return nil, s.err
	case errors.Is(err, io.EOF):
		return nil, fieldError("required", "a file that is not empty")
	case err != nil && !errors.Is(err, io.ErrUnexpectedEOF):
		return nil, err
	}
	return buf[:n], nil
}

// sizeWords is a number of bytes as people say it.
func sizeWords(n int64) string {
	if n >= 1<<20 && n%(1<<20) == 0 {
		return fmt.Sprintf("%d MiB", n>>20)
	}
	return fmt.Sprintf("%d bytes", n)
}
