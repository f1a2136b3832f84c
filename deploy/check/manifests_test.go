package check

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	autoscalingv2 "k8s.io/api/autoscaling/v2"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	utilyaml "k8s.io/apimachinery/pkg/util/yaml"
	"sigs.k8s.io/yaml"
)

// folder has the manifests, seen from this package.
const folder = "../kubernetes"

// document is one YAML document of a manifest file.
type document struct {
	// name is file#index, for messages.
	name string
	raw  []byte
}

// documents splits every manifest; kustomization.yaml is read by kustomize, not by the API.
func documents(t *testing.T) []document {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(folder, "*.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	var docs []document
	for _, file := range files {
		if filepath.Base(file) == kustomization {
			continue
		}
		raw, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		parts, err := split(raw)
		if err != nil {
			t.Fatalf("split %s: %v", file, err)
		}
		for i, part := range parts {
			docs = append(docs, document{fmt.Sprintf("%s#%d", filepath.Base(file), i+1), part})
		}
	}
	if len(docs) == 0 {
		t.Fatalf("no manifests in %s", folder)
	}
	return docs
}

func split(raw []byte) ([][]byte, error) {
	var parts [][]byte
	reader := utilyaml.NewYAMLReader(bufio.NewReader(bytes.NewReader(raw)))
	for {
		part, err := reader.Read()
		if errors.Is(err, io.EOF) {
			return parts, nil
		}
		if err != nil {
			return nil, err
		}
		if len(bytes.TrimSpace(part)) > 0 {
			parts = append(parts, part)
		}
	}
}

// world is all manifests, typed. Decoding is strict: an unknown or doubled field fails.
type world struct {
	configs     map[string]corev1.ConfigMap
	deployments map[string]appsv1.Deployment
	jobs        map[string]batchv1.Job
	services    []corev1.Service
	scalers     []autoscalingv2.HorizontalPodAutoscaler
	budgets     []policyv1.PodDisruptionBudget
}

func load(t *testing.T) world {
	t.Helper()
	w := world{
		configs:     map[string]corev1.ConfigMap{},
		deployments: map[string]appsv1.Deployment{},
		jobs:        map[string]batchv1.Job{},
	}
	for _, d := range documents(t) {
		var meta metav1.TypeMeta
		if err := yaml.Unmarshal(d.raw, &meta); err != nil {
			t.Fatalf("%s: %v", d.name, err)
		}
		switch meta.Kind {
		case "ConfigMap":
			o := decode[corev1.ConfigMap](t, d)
			w.configs[o.Name] = o
		case "Deployment":
			o := decode[appsv1.Deployment](t, d)
			w.deployments[o.Name] = o
		case "Job":
			o := decode[batchv1.Job](t, d)
			w.jobs[o.Name] = o
		case "Service":
			w.services = append(w.services, decode[corev1.Service](t, d))
		case "HorizontalPodAutoscaler":
			w.scalers = append(w.scalers, decode[autoscalingv2.HorizontalPodAutoscaler](t, d))
		case "PodDisruptionBudget":
			w.budgets = append(w.budgets, decode[policyv1.PodDisruptionBudget](t, d))
		default:
			t.Fatalf("%s: kind %q is not known to these tests: add it to load", d.name, meta.Kind)
		}
	}
	return w
}

func decode[T any](t *testing.T, d document) T {
	t.Helper()
	var o T
	if err := yaml.UnmarshalStrict(d.raw, &o); err != nil {
		t.Fatalf("%s: %v", d.name, err)
	}
	return o
}

// pods are the pod templates of all Deployments and Jobs, by the owner's name.
func (w world) pods() map[string]corev1.PodTemplateSpec {
	all := map[string]corev1.PodTemplateSpec{}
	for name, d := range w.deployments {
		all[name] = d.Spec.Template
	}
	for name, j := range w.jobs {
		all[name] = j.Spec.Template
	}
	return all
}

// env is a container's environment by name; a value from a Secret is the empty string.
func (w world) env(t *testing.T, c corev1.Container) map[string]string {
	t.Helper()
	all := map[string]string{}
	for _, from := range c.EnvFrom {
		if from.ConfigMapRef == nil {
			t.Fatalf("container %s: envFrom takes a ConfigMap here; secrets are named one by one", c.Name)
		}
		config, ok := w.configs[from.ConfigMapRef.Name]
		if !ok {
			t.Fatalf("container %s: no ConfigMap %q", c.Name, from.ConfigMapRef.Name)
		}
		for k, v := range config.Data {
			all[k] = v
		}
	}
	for _, e := range c.Env {
		all[e.Name] = e.Value
	}
	return all
}
