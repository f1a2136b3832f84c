package engine

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/rs/zerolog"

	"github.com/pxactions/px/model"
)

func TestAContainedPanicIsLoggedWithItsStack(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	log := zerolog.New(&out)
	fault(log, fmt.Errorf("decide: %w", &model.PanicError{Kind: "string", Stack: []byte("rules.go:7")})).Msg("x")
	if line := out.String(); !strings.Contains(line, "rules.go:7") || !strings.Contains(line, "panic with a string") {
		t.Errorf("line = %s, want the kind and the stack", line)
	}
	out.Reset()
	fault(log, errors.New("refused")).Msg("x")
	if line := out.String(); strings.Contains(line, "stack") || !strings.Contains(line, "refused") {
		t.Errorf("line = %s, want the error alone", line)
	}
}
