// Accept says of each object that it reads whether an API server would create it: strict decoding, defaults, the checks
// of the resource's own registry, and Pod Security at its strictest. It stores nothing, and so needs neither etcd nor a
// cluster; what webhooks and controllers would say of an object it cannot tell.
package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	"k8s.io/apimachinery/pkg/util/yaml"
	"k8s.io/apiserver/pkg/endpoints/request"
	"k8s.io/apiserver/pkg/registry/rest"
	security "k8s.io/pod-security-admission/api"
	"k8s.io/pod-security-admission/policy"

	"k8s.io/kubernetes/pkg/api/legacyscheme"
	"k8s.io/kubernetes/pkg/apis/apps"
	_ "k8s.io/kubernetes/pkg/apis/apps/install"
	"k8s.io/kubernetes/pkg/apis/batch"
	_ "k8s.io/kubernetes/pkg/apis/batch/install"
	"k8s.io/kubernetes/pkg/apis/core"
	_ "k8s.io/kubernetes/pkg/apis/core/install"
	_ "k8s.io/kubernetes/pkg/apis/networking/install"
	_ "k8s.io/kubernetes/pkg/apis/policy/install"
	"k8s.io/kubernetes/pkg/registry/apps/deployment"
	"k8s.io/kubernetes/pkg/registry/apps/statefulset"
	"k8s.io/kubernetes/pkg/registry/batch/job"
	"k8s.io/kubernetes/pkg/registry/core/configmap"
	"k8s.io/kubernetes/pkg/registry/core/service"
	"k8s.io/kubernetes/pkg/registry/core/serviceaccount"
	"k8s.io/kubernetes/pkg/registry/networking/ingress"
	"k8s.io/kubernetes/pkg/registry/networking/networkpolicy"
	"k8s.io/kubernetes/pkg/registry/policy/poddisruptionbudget"
)

const namespace = "parcels"

var strategies = map[string]rest.RESTCreateStrategy{
	"ConfigMap":           configmap.Strategy,
	"Deployment":          deployment.Strategy,
	"Ingress":             ingress.Strategy,
	"Job":                 job.Strategy,
	"NetworkPolicy":       networkpolicy.Strategy,
	"PodDisruptionBudget": poddisruptionbudget.Strategy,
	"Service":             service.Strategy,
	"ServiceAccount":      serviceaccount.Strategy,
	"StatefulSet":         statefulset.Strategy,
}

func main() {
	documents := yaml.NewYAMLReader(bufio.NewReader(os.Stdin))
	refused := false
	for {
		document, err := documents.Read()
		if err == io.EOF {
			break
		}
		if err == nil {
			err = create(document)
		}
		if err != nil {
			refused = true
			fmt.Println(err)
		}
	}
	if refused {
		os.Exit(1)
	}
}

// create does what an API server does with the body of a POST, up to admission.
func create(document []byte) error {
	decoder := serializer.NewCodecFactory(legacyscheme.Scheme, serializer.EnableStrict).UniversalDecoder()
	object, kind, err := decoder.Decode(document, nil, nil)
	if err != nil {
		return err
	}
	strategy, known := strategies[kind.Kind]
	if !known {
		return fmt.Errorf("%s: not known here", kind)
	}
	named, err := meta.Accessor(object)
	if err != nil {
		return err
	}
	named.SetNamespace(namespace)
	rest.FillObjectMetaSystemFields(named)
	if service, is := object.(*core.Service); is && service.Spec.ClusterIP != "" { // as its storage does
		service.Spec.ClusterIPs = []string{service.Spec.ClusterIP}
	}
	where := request.WithNamespace(context.Background(), namespace)
	where = request.WithRequestInfo(where, &request.RequestInfo{APIGroup: kind.Group, APIVersion: kind.Version})
	if err := rest.BeforeCreate(strategy, where, object); err != nil {
		return err
	}
	if err := secure(object); err != nil {
		return fmt.Errorf("%s %s: %w", kind.Kind, named.GetName(), err)
	}
	return nil
}

// secure says whether a namespace whose level is "restricted" would let the pods of the object in.
func secure(object runtime.Object) error {
	var template *core.PodTemplateSpec
	switch each := object.(type) {
	case *apps.Deployment:
		template = &each.Spec.Template
	case *apps.StatefulSet:
		template = &each.Spec.Template
	case *batch.Job:
		template = &each.Spec.Template
	default:
		return nil
	}
	var pod corev1.PodTemplateSpec
	if err := legacyscheme.Scheme.Convert(template, &pod, nil); err != nil {
		return err
	}
	evaluator, err := policy.NewEvaluator(policy.DefaultChecks(), nil)
	if err != nil {
		return err
	}
	strictest := security.LevelVersion{Level: security.LevelRestricted, Version: security.LatestVersion()}
	found := policy.AggregateCheckResults(evaluator.EvaluatePod(strictest, &pod.ObjectMeta, &pod.Spec))
	if !found.Allowed {
		return fmt.Errorf("pod security: %s", found.ForbiddenDetail())
	}
	return nil
}
