package sampledata_test

import (
	"maps"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/goccy/go-yaml"
)

// place is what the tests need of an entry of the sample directory.
type place struct {
	Code, Hospital string
	Min, Max       float64
	Metric         string
	Aliases        map[string]oneOrMore
}

type people struct {
	Hospitals, Departments, Surveys, Users []place
}

// oneOrMore is a YAML list, or a single value that stands for a list of one.
type oneOrMore []string

func (o *oneOrMore) UnmarshalYAML(src []byte) error {
	var one string
	if err := yaml.Unmarshal(src, &one); err == nil {
		*o = oneOrMore{one}
		return nil
	}
	var more []string
	if err := yaml.Unmarshal(src, &more); err != nil {
		return err
	}
	*o = more
	return nil
}

func readDirectory(t *testing.T) people {
	t.Helper()
	src, err := os.ReadFile(filepath.Join("..", "..", "samples", "directory.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	var d people
	if err := yaml.Unmarshal(src, &d); err != nil {
		t.Fatalf("directory.yaml: %v", err)
	}
	return d
}

// known lists the codes of the entries that a source system may call name.
func known(all []place, source, name string) []string {
	codes := map[string]bool{}
	for _, p := range all {
		if p.Code == name || slices.Contains(p.Aliases[source], name) || slices.Contains(p.Aliases["*"], name) {
			codes[p.Code] = true
		}
	}
	return slices.Sorted(maps.Keys(codes))
}

func TestTheSampleDirectoryKnowsEveryName(t *testing.T) {
	t.Parallel()
	d := readDirectory(t)
	for source, ns := range readExpected(t).Names {
		for _, group := range []struct {
			what  string
			all   []place
			names map[string]string
		}{
			{"hospital", d.Hospitals, ns.Hospitals},
			{"department", d.Departments, ns.Departments},
			{"survey", d.Surveys, ns.Surveys},
			{"user", d.Users, ns.Users},
		} {
			for name, code := range group.names {
				if got := known(group.all, source, name); !slices.Equal(got, []string{code}) {
					t.Errorf("%s %q of %s is %v in directory.yaml, want %s", group.what, name, source, got, code)
				}
			}
		}
	}
}

func TestTheSampleDirectoryHasEveryDepartmentInItsHospital(t *testing.T) {
	t.Parallel()
	d, exp := readDirectory(t), readExpected(t)
	for name, events := range sent(t) {
		source := exp.Files[name].SourceSystem
		for _, e := range events {
			department := str(e, "department")
			if department == "" {
				continue
			}
			hospital := exp.Names[source].Hospitals[str(e, "hospital")]
			local := slices.DeleteFunc(slices.Clone(d.Departments), func(p place) bool { return p.Hospital != hospital })
			if got := known(local, source, department); len(got) != 1 {
				t.Errorf("%s: department %q is %v of %s, want one", str(e, "event_id"), department, got, hospital)
			}
		}
	}
}

func TestTheSampleDirectoryHasTheScales(t *testing.T) {
	t.Parallel()
	for _, s := range readDirectory(t).Surveys {
		want, used := scales()[s.Code]
		got := [2]float64{s.Min, s.Max}
		if s.Metric == "nps" {
			got = [2]float64{0, 10}
		}
		if used && got != want {
			t.Errorf("survey %s runs from %v in directory.yaml, want %v", s.Code, got, want)
		}
	}
}
