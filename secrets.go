package main

import (
	"errors"
	"fmt"
	"net/url"
	"strings"

	"github.com/alecthomas/kong"
)

// secretsGiven refuses secrets in the command line, which everybody on the machine
// can read, and shells keep. Their text is not told.
func secretsGiven(parsed *kong.Context) error {
	var faults []error
	for _, p := range parsed.Path {
		if p.Flag == nil || !p.Flag.Tag.Has("secret") {
			continue
		}
		if p.Flag.Tag.Get("secret") == "password" && !withPassword(p.Flag.Target.String()) {
			continue
		}
		faults = append(faults, fmt.Errorf("%s: must stand in the environment, not in the command line: others can read it there", p.Flag.Envs[0]))
	}
	return errors.Join(faults...)
}

// withPassword reports whether a URL has one, or cannot be read.
func withPassword(raw string) bool {
	u, err := url.Parse(raw)
	if err != nil {
		return true
	}
	_, has := u.User.Password()
	return has || strings.Contains(strings.ToLower(u.RawQuery), "password")
}
