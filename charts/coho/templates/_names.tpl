{{- /* "coho-operator" for a release called coho. */ -}}
{{- define "coho.fullname" -}}
{{- if contains "operator" .Release.Name -}}
{{- .Release.Name | trunc 50 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-operator" (.Release.Name | trunc 40 | trimSuffix "-") -}}
{{- end -}}
{{- end -}}

{{- define "coho.serviceAccountName" -}}
{{- .Values.serviceAccount.name | default (ternary (include "coho.fullname" .) "default" .Values.serviceAccount.create) -}}
{{- end -}}

{{- define "coho.selectorLabels" -}}
app.kubernetes.io/name: coho-operator
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "coho.labels" -}}
{{ include "coho.selectorLabels" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/component: operator
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version }}
{{- end -}}

{{- define "coho.image" -}}
{{- if .Values.image.digest -}}
{{- printf "%s@%s" .Values.image.repository .Values.image.digest -}}
{{- else -}}
{{- printf "%s:%s" .Values.image.repository (.Values.image.tag | default .Chart.AppVersion) -}}
{{- end -}}
{{- end -}}

{{- /* Part of the coordinators' transactional ids: the replicas of one release share it, so that a new leader fences the former one. */ -}}
{{- define "coho.installationId" -}}
{{- .Values.installationId | default (printf "%s.%s" .Release.Namespace (include "coho.fullname" .)) -}}
{{- end -}}
