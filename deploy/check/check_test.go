package check

import (
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"sigs.k8s.io/kubectl-validate/pkg/openapiclient"
	"sigs.k8s.io/kubectl-validate/pkg/validator"
	"sigs.k8s.io/yaml"
)

const (
	kustomization = "kustomization.yaml"
	// schemas is the oldest Kubernetes that the manifests are for: lifecycle.preStop.sleep is on by
	// default from here.
	schemas = "1.30"
)

// offline serves the schemas that are built into the validator, with its fixes to them.
func offline(t *testing.T) *validator.Validator {
	t.Helper()
	v, err := validator.New(openapiclient.NewOverlay(
		openapiclient.HardcodedPatchLoader(schemas), openapiclient.NewHardcodedBuiltins(schemas)))
	if err != nil {
		t.Fatalf("load the schemas of Kubernetes %s: %v", schemas, err)
	}
	return v
}

func validate(v *validator.Validator, raw []byte) error {
	_, object, err := v.Parse(raw)
	if err != nil {
		return err
	}
	return v.Validate(object)
}

func TestManifestsFitTheSchemas(t *testing.T) {
	t.Parallel()
	v := offline(t)
	for _, d := range documents(t) {
		if err := validate(v, d.raw); err != nil {
			t.Errorf("%s: %v", d.name, err)
		}
	}
}

// TestValidatorRefuses keeps the test above honest.
func TestValidatorRefuses(t *testing.T) {
	t.Parallel()
	v := offline(t)
	raw, err := os.ReadFile(filepath.Join(folder, "config.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	if err := validate(v, raw); err != nil {
		t.Fatalf("the sound manifest is refused: %v", err)
	}
	tests := []struct{ name, old, new string }{
		{"an unknown field", "data:", "dataa:"},
		{"a wrong type", `":9090"`, "[1]"},
		{"an unknown kind", "kind: ConfigMap", "kind: ConfigMop"},
		{"a bad name", "  name: px", "  name: PX_1"},
	}
	for _, tt := range tests {
		bad := strings.Replace(string(raw), tt.old, tt.new, 1)
		if bad == string(raw) {
			t.Fatalf("%s: %q is not in the manifest", tt.name, tt.old)
		}
		if validate(v, []byte(bad)) == nil {
			t.Errorf("%s is accepted", tt.name)
		}
	}
}

func TestEveryProcessIsDeployed(t *testing.T) {
	t.Parallel()
	raw, err := os.ReadFile("../../Procfile")
	if err != nil {
		t.Fatal(err)
	}
	w := load(t)
	for line := range strings.Lines(string(raw)) {
		name, command, ok := strings.Cut(strings.TrimSpace(line), ": px ")
		if !ok {
			t.Fatalf("Procfile: %q is not `name: px command`", line)
		}
		owner := "px-" + name
		if name == "release" {
			owner = "px-migrate"
		}
		pod, ok := w.pods()[owner]
		if !ok {
			t.Errorf("Procfile's %s has no %s", name, owner)
			continue
		}
		if got := strings.Join(pod.Spec.Containers[0].Args, " "); got != command {
			t.Errorf("%s runs `px %s`, the Procfile says `px %s`", owner, got, command)
		}
	}
}

func TestPodsOutliveTheirDrain(t *testing.T) {
	t.Parallel()
	w := load(t)
	for name, d := range w.deployments {
		pod := d.Spec.Template.Spec
		for _, c := range pod.Containers {
			needed, err := time.ParseDuration(w.env(t, c)["PX_DRAIN_TIMEOUT"])
			if err != nil {
				t.Errorf("%s: PX_DRAIN_TIMEOUT: %v", name, err)
				continue
			}
			if c.Lifecycle != nil && c.Lifecycle.PreStop != nil && c.Lifecycle.PreStop.Sleep != nil {
				needed += time.Duration(c.Lifecycle.PreStop.Sleep.Seconds) * time.Second
			}
			grace := pod.TerminationGracePeriodSeconds
			if grace == nil || time.Duration(*grace)*time.Second <= needed {
				t.Errorf("%s: terminationGracePeriodSeconds must be more than %s (drain and preStop)", name, needed)
			}
		}
	}
}

func TestPodsAreConfined(t *testing.T) {
	t.Parallel()
	for name, template := range load(t).pods() {
		pod := template.Spec
		if s := pod.SecurityContext; s == nil || !isTrue(s.RunAsNonRoot) || s.RunAsUser == nil || *s.RunAsUser == 0 ||
			s.SeccompProfile == nil || s.SeccompProfile.Type != corev1.SeccompProfileTypeRuntimeDefault {
			t.Errorf("%s: the pod must run as a user other than root under the runtime's seccomp profile", name)
		}
		if pod.AutomountServiceAccountToken == nil || *pod.AutomountServiceAccountToken {
			t.Errorf("%s: needs no API token: automountServiceAccountToken must be false", name)
		}
		for _, c := range pod.Containers {
			s := c.SecurityContext
			if s == nil || !isTrue(s.ReadOnlyRootFilesystem) || s.AllowPrivilegeEscalation == nil || *s.AllowPrivilegeEscalation ||
				s.Capabilities == nil || !slices.Contains(s.Capabilities.Drop, "ALL") {
				t.Errorf("%s: container %s must have a read-only root, no escalation and no capabilities", name, c.Name)
			}
			if c.Resources.Requests.Cpu().IsZero() || c.Resources.Requests.Memory().IsZero() || c.Resources.Limits.Memory().IsZero() {
				t.Errorf("%s: container %s must request CPU and memory and limit memory", name, c.Name)
			}
		}
	}
}

// TestPodsGetNoServiceVariables: Kubernetes gives a pod PX_PRODUCER_PORT and more for a Service named
// px-producer, unless told not to, and px refuses to start with a PX_ variable that is no setting.
func TestPodsGetNoServiceVariables(t *testing.T) {
	t.Parallel()
	for name, template := range load(t).pods() {
		if links := template.Spec.EnableServiceLinks; links == nil || *links {
			t.Errorf("%s: enableServiceLinks must be false", name)
		}
	}
}

func isTrue(b *bool) bool { return b != nil && *b }

func TestProbesReachTheOpsPort(t *testing.T) {
	t.Parallel()
	w := load(t)
	for name, d := range w.deployments {
		c := d.Spec.Template.Spec.Containers[0]
		want := map[string]*corev1.Probe{"/healthz": c.LivenessProbe, "/readyz": c.ReadinessProbe}
		for path, probe := range want {
			if probe == nil || probe.HTTPGet == nil || probe.HTTPGet.Path != path || probe.HTTPGet.Port.StrVal != "ops" {
				t.Errorf("%s: the probe must get %s on port ops", name, path)
			}
		}
		i := slices.IndexFunc(c.Ports, func(p corev1.ContainerPort) bool { return p.Name == "ops" })
		if i < 0 {
			t.Errorf("%s: has no port ops", name)
			continue
		}
		if addr := w.env(t, c)["PX_OPS_ADDR"]; addr != ":"+port(c.Ports[i]) {
			t.Errorf("%s: port ops is %s, but PX_OPS_ADDR is %q", name, port(c.Ports[i]), addr)
		}
	}
}

func port(p corev1.ContainerPort) string { return strconv.Itoa(int(p.ContainerPort)) }

func TestSelectorsFindOneDeployment(t *testing.T) {
	t.Parallel()
	w := load(t)
	for name, d := range w.deployments {
		if got := w.selected(t, d.Spec.Selector); !slices.Equal(got, []string{name}) {
			t.Errorf("Deployment %s selects the pods of %q", name, got)
		}
	}
	budgets := map[string]bool{}
	for _, b := range w.budgets {
		if got := w.selected(t, b.Spec.Selector); !slices.Equal(got, []string{b.Name}) {
			t.Errorf("PodDisruptionBudget %s selects the pods of %q", b.Name, got)
		}
		budgets[b.Name] = true
	}
	for _, s := range w.services {
		got := w.selected(t, &metav1.LabelSelector{MatchLabels: s.Spec.Selector})
		if !slices.Equal(got, []string{s.Name}) {
			t.Errorf("Service %s selects the pods of %q", s.Name, got)
			continue
		}
		for _, p := range s.Spec.Ports {
			ports := w.deployments[s.Name].Spec.Template.Spec.Containers[0].Ports
			if !slices.ContainsFunc(ports, func(c corev1.ContainerPort) bool { return c.Name == p.TargetPort.StrVal }) {
				t.Errorf("Service %s: its pods have no port %q", s.Name, p.TargetPort.StrVal)
			}
		}
	}
	for name := range w.deployments {
		if !budgets[name] {
			t.Errorf("Deployment %s has no PodDisruptionBudget", name)
		}
	}
}

// selected lists the Deployments whose pods a selector fits, sorted.
func (w world) selected(t *testing.T, s *metav1.LabelSelector) []string {
	t.Helper()
	selector, err := metav1.LabelSelectorAsSelector(s)
	if err != nil {
		t.Fatal(err)
	}
	var found []string
	for _, name := range slices.Sorted(maps.Keys(w.deployments)) {
		if selector.Matches(labels.Set(w.deployments[name].Spec.Template.Labels)) {
			found = append(found, name)
		}
	}
	return found
}

func TestScalersScaleADeployment(t *testing.T) {
	t.Parallel()
	w := load(t)
	scaled := map[string]bool{}
	for _, s := range w.scalers {
		target := s.Spec.ScaleTargetRef
		d, ok := w.deployments[target.Name]
		if !ok || target.Kind != "Deployment" {
			t.Errorf("HorizontalPodAutoscaler %s: no %s %s", s.Name, target.Kind, target.Name)
			continue
		}
		scaled[target.Name] = true
		if d.Spec.Replicas != nil {
			t.Errorf("Deployment %s: each apply would set replicas back: leave them to the autoscaler", target.Name)
		}
		if s.Spec.MinReplicas == nil || *s.Spec.MinReplicas < 2 || s.Spec.MaxReplicas <= *s.Spec.MinReplicas {
			t.Errorf("HorizontalPodAutoscaler %s: want at least 2 replicas and room to grow", s.Name)
		}
	}
	for name, d := range w.deployments {
		if !scaled[name] && (d.Spec.Replicas == nil || *d.Spec.Replicas < 2) {
			t.Errorf("Deployment %s: want at least 2 replicas, or one node's end stops it", name)
		}
	}
}

func TestKustomizationNamesEveryManifest(t *testing.T) {
	t.Parallel()
	raw, err := os.ReadFile(filepath.Join(folder, kustomization))
	if err != nil {
		t.Fatal(err)
	}
	var k struct {
		APIVersion string   `json:"apiVersion"`
		Kind       string   `json:"kind"`
		Resources  []string `json:"resources"`
	}
	if err := yaml.UnmarshalStrict(raw, &k); err != nil {
		t.Fatal(err)
	}
	files, err := filepath.Glob(filepath.Join(folder, "*.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	var want []string
	for _, f := range files {
		// The migrate Job runs before the rest and cannot be changed in place, so it is applied on its own.
		if base := filepath.Base(f); base != kustomization && base != "migrate.yaml" {
			want = append(want, base)
		}
	}
	slices.Sort(k.Resources)
	if !slices.Equal(k.Resources, want) {
		t.Errorf("resources are %q, want %q", k.Resources, want)
	}
}

// TestSettingsAreKnown finds every PX_ setting of the manifests in the program's configuration, so that a
// setting renamed there is not left behind here.
func TestSettingsAreKnown(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("../../*.go")
	if err != nil {
		t.Fatal(err)
	}
	var code strings.Builder
	for _, f := range files {
		raw, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		code.Write(raw)
	}
	w := load(t)
	for name, pod := range w.pods() {
		for _, c := range pod.Spec.Containers {
			for setting := range w.env(t, c) {
				bare := strings.TrimPrefix(setting, "PX_")
				known := regexp.MustCompile(`\b` + setting + `\b|env:"` + bare + `[",]`)
				if !known.MatchString(code.String()) {
					t.Errorf("%s sets %s, which the program's root package does not read", name, setting)
				}
			}
		}
	}
}
