{{- /* What the operator may do where StreamJobs are: in all namespaces, or in the watched one. */ -}}
{{- define "coho.jobRules" -}}
# What users want; never written, so that autoscalers and people own the spec.
- apiGroups: [coho.dev]
  resources: [streamjobs]
  verbs: [get, list, watch]
# What they see.
- apiGroups: [coho.dev]
  resources: [streamjobs/status]
  verbs: [patch]
# Owner references that block deletion need this where OwnerReferencesPermissionEnforcement is on.
- apiGroups: [coho.dev]
  resources: [streamjobs/finalizers]
  verbs: [update]
# One StatefulSet per worker; deleted when a worker has been scaled away.
- apiGroups: [apps]
  resources: [statefulsets]
  verbs: [get, list, watch, create, patch, delete]
# Assignment, headless Service and the workers' account without rights. Owner references remove them.
- apiGroups: [""]
  resources: [configmaps, services, serviceaccounts]
  verbs: [get, list, watch, create, patch]
# Job files: one for each content, deleted when no pod was started with it any more.
- apiGroups: [""]
  resources: [configmaps]
  verbs: [delete]
# Drains take one worker at a time.
- apiGroups: [policy]
  resources: [poddisruptionbudgets]
  verbs: [get, list, watch, create, patch]
# Worker pods are made by their StatefulSets; deleted to bring in a new template, or when their node is lost.
- apiGroups: [""]
  resources: [pods]
  verbs: [get, list, watch, delete]
# Volumes of workers that were scaled away or whose node is lost.
- apiGroups: [""]
  resources: [persistentvolumeclaims]
  verbs: [get, list, watch, delete]
# Kafka credentials that a StreamJob names in spec.kafka.secretRef: read by name, never listed or watched.
- apiGroups: [""]
  resources: [secrets]
  verbs: [get]
# Events about StreamJobs.
- apiGroups: [events.k8s.io]
  resources: [events]
  verbs: [create, patch]
{{- end -}}
