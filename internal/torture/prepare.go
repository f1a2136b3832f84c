package main

import (
	"context"
	"fmt"
	"strings"
)

// preparation gets a fault ready before the servers start. Its error says why the
// fault cannot be injected here: it is left out then.
type preparation func(ctx context.Context, c *cluster, cfg config) error

// preparations are those of the faults that need one, by name.
func preparations() map[string]preparation {
	return map[string]preparation{diskFull: ownDisk, clockStep: steppedPX, upgrade: olderPX}
}

// prepare gets the chosen faults ready. It returns the names of those that can be
// injected, and says of each other why it is left out.
func (c *cluster) prepare(ctx context.Context, cfg config) (string, error) {
	var ready []string
	for _, f := range deck(cfg.only) {
		if get := preparations()[f.name]; get != nil {
			if err := get(ctx, c, cfg); err != nil {
				if ctx.Err() != nil {
					return "", ctx.Err()
				}
				fmt.Fprintf(cfg.out, "without %s: %v\n", f.name, err)
				continue
			}
		}
		ready = append(ready, f.name)
	}
	if len(ready) == 0 {
		return "", fmt.Errorf("no fault is left to inject")
	}
	return strings.Join(ready, ","), nil
}
