package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"

	"github.com/cambio-oauth/cambio/storage/storagetest"
)

// inRepository reads a file of the repository.
func inRepository(t *testing.T, path ...string) []byte {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(append([]string{"..", ".."}, path...)...))
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// readYAML reads the only document of a YAML file.
func readYAML[T any](t *testing.T, path ...string) (value T) {
	t.Helper()
	if err := yaml.Unmarshal(inRepository(t, path...), &value); err != nil {
		t.Fatalf("%v: %v", path, err)
	}
	return value
}

type alertRules struct {
	Groups []struct {
		Rules []struct {
			Alert, Expr string
			Annotations map[string]string
		}
	}
}

// expressions are what alerts and dashboard ask of Prometheus.
func expressions(t *testing.T) (all []string) {
	t.Helper()
	for _, group := range readYAML[alertRules](t, "deploy", "prometheus", "alerts.yaml").Groups {
		for _, rule := range group.Rules {
			all = append(all, rule.Expr)
		}
	}
	var dashboard struct {
		Panels []struct{ Targets []struct{ Expr string } }
	}
	if err := json.Unmarshal(inRepository(t, "deploy", "grafana", "dashboard.json"), &dashboard); err != nil {
		t.Fatal(err)
	}
	for _, panel := range dashboard.Panels {
		for _, target := range panel.Targets {
			all = append(all, target.Expr)
		}
	}
	if len(all) < 25 {
		t.Fatalf("only %d expressions were found", len(all))
	}
	return all
}

// Alerts and dashboard ask for metrics that there are, by labels that they
// have.
func TestAlertsAndDashboardNameMetricsThatExist(t *testing.T) {
	s := startServer(t, storagetest.SQLite(t), nil)
	acme := s.newParty("Acme")
	acme.exchange(acme.idp.token(nil)) // so that key URLs are counted
	exported := s.atOps("/metrics").body
	named := 0
	for _, expression := range expressions(t) {
		for _, found := range regexp.MustCompile(`\b((?:cambio|process|go)_\w+)(?:\{([^}]*)\})?`).FindAllStringSubmatch(expression, -1) {
			named++
			name := found[1]
			sample := regexp.MustCompile(`(?m)^` + name + `(?:\{(.*)\})? `).FindStringSubmatch(exported)
			if sample == nil {
				t.Errorf("%s does not exist (%s)", name, expression)
				continue
			}
			for _, label := range regexp.MustCompile(`(\w+)(?:=~|!~|!=|=)"`).FindAllStringSubmatch(found[2], -1) {
				if label[1] != "job" && !strings.Contains(sample[1], label[1]+`="`) {
					t.Errorf("%s has no label %s (%s)", name, label[1], expression)
				}
			}
		}
		if by := regexp.MustCompile(`by \(([^)]*)\)`).FindStringSubmatch(expression); by != nil {
			for _, label := range strings.Split(by[1], ", ") {
				if !strings.Contains(exported, label+`="`) {
					t.Errorf("no metric has the label %s (%s)", label, expression)
				}
			}
		}
	}
	if named < 25 {
		t.Fatalf("only %d names were found", named)
	}
}

// Whoever is woken by an alert finds what to do under its name, and every
// metric of ours is explained.
func TestAlertsAndMetricsAreExplained(t *testing.T) {
	manual := string(inRepository(t, "docs", "operations.md"))
	for _, group := range readYAML[alertRules](t, "deploy", "prometheus", "alerts.yaml").Groups {
		for _, rule := range group.Rules {
			if !strings.Contains(manual, "\n### "+rule.Alert+"\n") || !strings.HasSuffix(rule.Annotations["runbook_url"], "#"+strings.ToLower(rule.Alert)) {
				t.Errorf("%s: %s is not there", rule.Alert, rule.Annotations["runbook_url"])
			}
		}
	}
	s := startServer(t, storagetest.SQLite(t), nil)
	acme := s.newParty("Acme")
	acme.exchange(acme.idp.token(nil))
	ours := regexp.MustCompile(`(?m)^# TYPE (cambio_\w+)`).FindAllStringSubmatch(s.atOps("/metrics").body, -1)
	if len(ours) < 6 {
		t.Errorf("only %d metrics of ours", len(ours))
	}
	for _, metric := range ours {
		if !strings.Contains(manual, "`"+metric[1]+"`") {
			t.Errorf("%s is not explained", metric[1])
		}
	}
}

type composeFile struct {
	Services map[string]struct {
		Image       string
		User        string
		Healthcheck map[string]any
		DependsOn   map[string]struct{ Condition string } `yaml:"depends_on"`
		Environment map[string]string
		Volumes     []string
		Ports       []string
		ReadOnly    bool     `yaml:"read_only"`
		CapDrop     []string `yaml:"cap_drop"`
		Secrets     []string
	}
	Secrets map[string]struct{ File string }
	Volumes map[string]any
}

// docker compose up --wait waits for the whole fleet, of images that do not
// change under it, and of nothing that is not there.
func TestComposeDescribesTheFleet(t *testing.T) {
	compose := readYAML[composeFile](t, "docker-compose.yml")
	for _, name := range []string{"cambio-1", "cambio-2", "proxy", "postgres", "prometheus", "grafana"} {
		service, ok := compose.Services[name]
		if !ok {
			t.Errorf("there is no %s", name)
			continue
		}
		if service.Healthcheck["test"] == nil || !service.ReadOnly || !slices.Contains(service.CapDrop, "ALL") {
			t.Errorf("%s: health check %v, read-only %v, dropped %v", name, service.Healthcheck, service.ReadOnly, service.CapDrop)
		}
		if _, tag, _ := strings.Cut(service.Image, ":"); tag == "" || tag == "latest" {
			t.Errorf("%s: the image %s can change", name, service.Image)
		}
		for other, on := range service.DependsOn {
			if _, ok := compose.Services[other]; !ok || on.Condition != "service_healthy" {
				t.Errorf("%s depends on %s: %s", name, other, on.Condition)
			}
		}
		for _, port := range service.Ports {
			if !strings.HasPrefix(port, "127.0.0.1:") {
				t.Errorf("%s publishes %s", name, port)
			}
		}
		for _, secret := range service.Secrets {
			if made := string(inRepository(t, "deploy", "make-secrets.sh")); !strings.Contains(made, "\nmake "+secret+" ") || compose.Secrets[secret].File != "./deploy/secrets/"+secret {
				t.Errorf("%s: nobody makes the secret %s", name, secret)
			}
		}
		for _, volume := range service.Volumes {
			source, _, _ := strings.Cut(volume, ":")
			if _, named := compose.Volumes[source]; !named {
				if _, err := os.Stat(filepath.Join("..", "..", source)); err != nil {
					t.Errorf("%s: %v", name, err)
				}
			}
		}
	}
	mustBeSettings(t, compose.Services["cambio-1"].Environment)
	// The proxy is trusted, so it must not pass these on from strangers.
	for _, line := range []string{"header_up X-Request-Id {http.request.uuid}", "header_up -Traceparent"} {
		if !strings.Contains(string(inRepository(t, "deploy", "proxy", "Caddyfile")), "\t\t"+line+"\n") {
			t.Errorf("the proxy lacks %s", line)
		}
	}
}

// mustBeSettings holds an environment against what the program takes.
func mustBeSettings(t *testing.T, environment map[string]string) {
	t.Helper()
	known := map[string]setting{}
	for _, s := range settings() {
		known[s.key] = s
	}
	if len(environment) < 5 {
		t.Errorf("only %d settings", len(environment))
	}
	for name := range environment {
		if key := strings.ToLower(strings.TrimPrefix(name, envPrefix)); !isKnown(known, key) {
			t.Errorf("there is no setting %s", name)
		}
	}
}

// What the manifests promise: no root, nothing to write to, nothing of the
// cluster's, and probes at the operator's listener.
func TestKubernetesManifests(t *testing.T) {
	kinds := map[string]string{}
	for _, document := range strings.Split(string(inRepository(t, "deploy", "kubernetes", "cambio.yaml")), "\n---\n") {
		var head struct{ Kind string }
		if err := yaml.Unmarshal([]byte(document), &head); err != nil {
			t.Fatal(err)
		}
		kinds[head.Kind] = document
	}
	var configMap struct{ Data map[string]string }
	if err := yaml.Unmarshal([]byte(kinds["ConfigMap"]), &configMap); err != nil {
		t.Fatal(err)
	}
	mustBeSettings(t, configMap.Data)
	for kind, wants := range map[string][]string{
		"Deployment": {"replicas: 3", "runAsNonRoot: true", "readOnlyRootFilesystem: true", "drop: [ALL]", "allowPrivilegeEscalation: false", "type: RuntimeDefault",
			"automountServiceAccountToken: false", "path: /healthz\n              port: ops", "path: /readyz\n              port: ops", "secretName: cambio", "defaultMode: 0440"},
		"Service": {"targetPort: http"}, "PodDisruptionBudget": {"maxUnavailable: 1"}, "NetworkPolicy": {"policyTypes: [Ingress, Egress]"},
	} {
		for _, want := range wants {
			if !strings.Contains(kinds[kind], want) {
				t.Errorf("%s: no %q", kind, want)
			}
		}
	}
	if strings.Contains(kinds["Service"], "ops") {
		t.Error("the Service publishes the operator's listener")
	}
}

// The unit ends the program later than it ends itself, and hands it secrets
// that only root can read.
func TestSystemdUnit(t *testing.T) {
	unit := string(inRepository(t, "deploy", "systemd", "cambio.service"))
	environment := map[string]string{}
	for _, line := range regexp.MustCompile(`(?m)^Environment=(\w+)=(.*)$`).FindAllStringSubmatch(unit, -1) {
		environment[line[1]] = line[2]
		if credential, ok := strings.CutPrefix(line[2], "%d/"); ok && !strings.Contains(unit, "\nLoadCredential="+credential+":") {
			t.Errorf("nobody loads the credential %s", credential)
		}
	}
	mustBeSettings(t, environment)
	for _, want := range []string{"NoNewPrivileges=yes", "ProtectSystem=strict", "MemoryDenyWriteExecute=yes", "LimitCORE=0", "SystemCallFilter=@system-service", "UMask=0077", "DynamicUser=yes", "TimeoutStopSec=30s"} {
		if !strings.Contains(unit, "\n"+want+"\n") {
			t.Errorf("no %s", want)
		}
	}
	if drainTimeout.Seconds() >= 30 {
		t.Errorf("it may take %v to end", drainTimeout)
	}
}
