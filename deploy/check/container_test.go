package check

import (
	"os"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// TestTheImageIsMinimal: its last stage runs nothing, so that it needs no shell,
// takes one static binary from the build, and runs as the user of the pods.
func TestTheImageIsMinimal(t *testing.T) {
	t.Parallel()
	raw, err := os.ReadFile("../Containerfile")
	if err != nil {
		t.Fatal(err)
	}
	text := string(raw)
	build, last := text[:strings.LastIndex(text, "\nFROM ")], text[strings.LastIndex(text, "\nFROM "):]
	for _, want := range []string{"CGO_ENABLED=0", "-trimpath"} {
		if !strings.Contains(build, want) {
			t.Errorf("the build has no %s: the binary is not static, or not the same everywhere", want)
		}
	}
	if !regexp.MustCompile(`^\nFROM (scratch|gcr\.io/distroless/static-debian\d+:nonroot)\n`).MatchString(last) {
		t.Error("the image must be from scratch or distroless/static, which have no shell")
	}
	for line := range strings.Lines(last) {
		word, rest, _ := strings.Cut(strings.TrimSpace(line), " ")
		switch word {
		case "RUN", "ENV", "ARG", "ADD", "VOLUME", "SHELL", "CMD":
			t.Errorf("the image must have no %s", word)
		case "ENTRYPOINT":
			if rest != `["/usr/bin/px"]` {
				t.Errorf("the image starts %s, want px without a shell", rest)
			}
		}
	}
	user := regexp.MustCompile(`\nUSER (\d+):\d+\n`).FindStringSubmatch(last)
	if user == nil || user[1] == "0" {
		t.Fatal("the image must run as a numbered user other than root: Kubernetes cannot tell a name from root")
	}
	for name, pod := range load(t).pods() {
		if s := pod.Spec.SecurityContext; s == nil || s.RunAsUser == nil || strconv.FormatInt(*s.RunAsUser, 10) != user[1] {
			t.Errorf("%s: runs as another user than the image, %s", name, user[1])
		}
	}
	secret := regexp.MustCompile(`(?i)(ARG|ENV)\s+\S*(secret|password|token|key)`)
	if found := secret.FindString(text); found != "" {
		t.Errorf("%s would stand in the image's history", found)
	}
}

// TestNoSecretStandsInAManifest: pods get secrets by reference, in variables, and
// none in their arguments.
func TestNoSecretStandsInAManifest(t *testing.T) {
	t.Parallel()
	secret := regexp.MustCompile(`PASSWORD|SECRET|KEY|DATABASE_URL|REDIS_URL|HEARTBEAT_URL`)
	for name, pod := range load(t).pods() {
		c := pod.Spec.Containers[0]
		if len(c.EnvFrom) == 0 && len(c.Env) == 0 {
			t.Errorf("%s: has no settings", name)
		}
		for _, e := range c.Env {
			if secret.MatchString(e.Name) && (e.ValueFrom == nil || e.ValueFrom.SecretKeyRef == nil) {
				t.Errorf("%s: %s must come from a Secret", name, e.Name)
			}
		}
		if args := strings.Join(append(c.Command, c.Args...), " "); secret.MatchString(strings.ToUpper(args)) {
			t.Errorf("%s: its arguments hold what may be a secret", name)
		}
	}
}
