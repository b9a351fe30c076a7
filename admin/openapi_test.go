package admin

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/gorilla/mux"

	"github.com/cambio-oauth/cambio/registry"
)

// document is openapi.yaml, loaded and valid.
type document struct{ *openapi3.T }

var loadDocument = sync.OnceValues(func() (*document, error) {
	loader := openapi3.NewLoader()
	doc, err := loader.LoadFromData(openAPI)
	if err != nil {
		return nil, err
	}
	if err := doc.Validate(loader.Context); err != nil {
		return nil, err
	}
	for name, schema := range doc.Components.Schemas { // kin-openapi validates other examples, but not these
		for _, example := range schema.Value.Examples {
			if err := schema.Value.VisitJSON(example, openapi3.EnableJSONSchema2020()); err != nil {
				return nil, fmt.Errorf("the example of %s: %w", name, err)
			}
		}
	}
	return &document{doc}, nil
})

func theDocument(t *testing.T) *document {
	t.Helper()
	doc, err := loadDocument()
	if err != nil {
		t.Fatalf("openapi.yaml: %v", err)
	}
	return doc
}

// testAPI has no store behind it: nothing that needs one may be called.
func testAPI() *API {
	return New(Config{Store: struct{ Store }{}, Log: slog.New(slog.DiscardHandler)})
}

// Every route is an operation of the document, and the other way round.
func TestDocumentHasEveryRoute(t *testing.T) {
	router := mux.NewRouter()
	testAPI().Mount(router)
	served, paths := map[string]bool{}, map[string]bool{}
	err := router.Walk(func(route *mux.Route, _ *mux.Router, _ []*mux.Route) error {
		if route.GetHandler() == nil { // a subrouter
			return nil
		}
		template, err := route.GetPathTemplate()
		if err != nil {
			return err
		}
		path := strings.TrimPrefix(template, prefix)
		paths[path] = true
		methods, _ := route.GetMethods() // none: what answers all other methods of the path
		for _, method := range methods {
			served[method+" "+path] = true
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	described := map[string]bool{}
	for path, item := range theDocument(t).Paths.Map() {
		if !paths[path] {
			t.Errorf("the document describes %s, which is not served", path)
		}
		for method := range item.Operations() {
			described[method+" "+path] = true
			if !served[method+" "+path] {
				t.Errorf("the document describes %s %s, which is not served", method, path)
			}
		}
	}
	for path := range paths {
		if theDocument(t).Paths.Value(path) == nil {
			t.Errorf("%s is served and not in the document", path)
		}
	}
	for operation := range served {
		if !described[operation] {
			t.Errorf("%s is served and not in the document", operation)
		}
	}
}

// Members and their defaults are those of the code.
func TestDocumentHasEveryMember(t *testing.T) {
	doc, a := theDocument(t), testAPI()
	for _, resource := range []struct {
		schema, path string
		input, view  any
		created      string // schema of the creating answer
	}{
		{"Integrator", "/integrators", defaultsOf(a.integrators()), integratorView{}, "Integrator"},
		{"KeyURL", "/integrators/{integrator}/key-urls", defaultsOf(a.keyURLs()), keyURLView{}, "KeyURL"},
		{"Client", "/integrators/{integrator}/clients", defaultsOf(a.clients()), clientView{}, "ClientCreated"},
		{"LockHolder", "/lock-holders", defaultsOf(a.lockHolders()), lockHolderView{}, "LockHolder"},
		{"ScopeRule", "/integrators/{integrator}/scope-rules", defaultsOf(a.scopeRules()), scopeRuleView{}, "ScopeRule"},
		{"ResourceServer", "/resource-servers", defaultsOf(a.resourceServers()), resourceServerView{}, "ResourceServerCreated"},
	} {
		t.Run(resource.schema, func(t *testing.T) {
			input, _ := doc.members(t, resource.schema+"Input")
			equalMembers(t, input, tagsOf(reflect.TypeOf(resource.input)))
			created, _ := doc.members(t, resource.created)
			equalMembers(t, created, tagsOf(reflect.TypeOf(resource.view)))

			if open := doc.Components.Schemas[resource.schema+"Input"].Value.AdditionalProperties.Has; open == nil || *open {
				t.Error("the input does not say additionalProperties: false")
			}
			defaults, err := membersOf(resource.input)
			if err != nil {
				t.Fatal(err)
			}
			_, required := flatten(doc.Paths.Value(resource.path).Post.RequestBody.Value.Content["application/json"].Schema)
			for name, property := range input {
				documented, err := json.Marshal(property.Value.Default)
				if err != nil {
					t.Fatal(err)
				}
				if !slices.Contains(required, name) && string(documented) != string(defaults[name]) {
					t.Errorf("the default of %s is %s, in the document %s", name, defaults[name], documented)
				}
			}
		})
	}
	t.Run("Problem", func(t *testing.T) {
		members, _ := doc.members(t, "Problem")
		equalMembers(t, members, tagsOf(reflect.TypeFor[problem]()))
		faults, _ := flatten(members["errors"].Value.Items)
		equalMembers(t, faults, tagsOf(reflect.TypeFor[registry.FieldError]()))
	})
}

// Limits and vocabularies are those of the code.
func TestDocumentHasTheLimits(t *testing.T) {
	doc := theDocument(t)
	schema := func(name string) *openapi3.Schema { return doc.Components.Schemas[name].Value }
	client, _ := doc.members(t, "ClientInput")
	limit := doc.Components.Parameters["Limit"].Value.Schema.Value
	hours := doc.Components.Parameters["Hours"].Value.Schema.Value
	for _, c := range []struct {
		what             string
		documented, code any
	}{
		{"limit, at most", *limit.Max, registry.MaxPage},
		{"limit, default", limit.Default, defaultLimit},
		{"max_lifetime, at most", *schema("MaxLifetime").Max, registry.MaxMaxLifetime.Seconds()},
		{"access_token_ttl, at most", *client["access_token_ttl"].Value.Max, registry.MaxAccessTokenTTL.Seconds()},
		{"hours, at most", *hours.Max, maxHours},
		{"hours, default", hours.Default, defaultHours},
		{"algorithms", schema("Algorithms").Items.Value.Enum, registry.Algorithms()},
		{"grant_types", schema("GrantTypes").Items.Value.Enum, grantTypes()},
		{"format", schema("Format").Enum, []string{registry.FormatAuto, registry.FormatJWKS, registry.FormatPEM}},
		{"token_endpoint_auth_method", schema("AuthMethod").Enum, []string{registry.AuthBasic, registry.AuthPost, registry.AuthKey, registry.AuthNone}},
		{"status", schema("Status").Enum, []registry.Status{registry.Active, registry.Disabled}},
	} {
		if documented, code := fmt.Sprint(c.documented), fmt.Sprint(c.code); documented != code {
			t.Errorf("%s is %s, in the document %s", c.what, code, documented)
		}
	}
}

// What can be had without a token answers as the document says, and the check
// members gives the members of a schema and those it requires.
func (d *document) members(t *testing.T, schema string) (openapi3.Schemas, []string) {
	t.Helper()
	ref := d.Components.Schemas[schema]
	if ref == nil {
		t.Fatalf("the document has no schema %s", schema)
	}
	return flatten(ref)
}

// flatten follows allOf.
func flatten(ref *openapi3.SchemaRef) (properties openapi3.Schemas, required []string) {
	properties = openapi3.Schemas{}
	for _, part := range ref.Value.AllOf {
		inner, names := flatten(part)
		for name, property := range inner {
			properties[name] = property
		}
		required = append(required, names...)
	}
	for name, property := range ref.Value.Properties {
		properties[name] = property
	}
	return properties, append(required, ref.Value.Required...)
}

// tagsOf gives the JSON names of a struct's fields, embedded ones included.
func tagsOf(structure reflect.Type) map[string]bool {
	tags := map[string]bool{}
	for _, field := range reflect.VisibleFields(structure) {
		if !field.IsExported() && !field.Anonymous {
			continue // in no document
		}
		if field.Anonymous {
			continue
		}
		name, _, _ := strings.Cut(field.Tag.Get("json"), ",")
		tags[name] = true
	}
	return tags
}

func equalMembers(t *testing.T, documented openapi3.Schemas, tags map[string]bool) {
	t.Helper()
	for name := range documented {
		if !tags[name] {
			t.Errorf("the document has the member %s, the code has not", name)
		}
	}
	for name := range tags {
		if documented[name] == nil {
			t.Errorf("the code has the member %s, the document has not", name)
		}
	}
}

// defaultsOf gives what a request that names nothing means.
func defaultsOf[V, I any](c collection[V, I]) I { return c.input(c.fresh("")) }
