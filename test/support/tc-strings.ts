// TC strings by the library's own encoder.
import { GVL, PurposeRestriction, type RestrictionType, TCModel, TCString } from '@iabtcf/core';

const vendors = 1_400;
const purposes = Array.from({ length: 11 }, (_, index) => index + 1);

/** A vendor list in which every vendor asks for every purpose, on either legal basis. */
const list = new GVL({
  gvlSpecificationVersion: 3,
  vendorListVersion: 50,
  tcfPolicyVersion: 4,
  lastUpdated: '2026-01-01T00:00:00Z',
  purposes: Object.fromEntries(
    purposes.map((id) => [id, { id, name: `${id}`, description: '', descriptionLegal: '' }]),
  ),
  specialPurposes: {},
  features: {},
  specialFeatures: {},
  stacks: {},
  vendors: Object.fromEntries(
    Array.from({ length: vendors }, (_, index) => [
      index + 1,
      {
        id: index + 1,
        name: `vendor ${index + 1}`,
        purposes: [1, 3, 5, 7, 9, 11],
        legIntPurposes: [2, 4, 6, 8, 10],
        flexiblePurposes: purposes,
        specialPurposes: [],
        features: [],
        specialFeatures: [],
        policyUrl: '',
      },
    ]),
  ),
} as unknown as ConstructorParameters<typeof GVL>[0]);

export interface Choice {
  readonly vendors?: readonly number[];
  readonly purposes?: readonly number[];
  readonly interests?: readonly number[];
  /** Purpose, type and vendor. */
  readonly restrictions?: readonly (readonly [number, RestrictionType, number])[];
  /** For all vendors. */
  readonly everywhere?: readonly (readonly [number, RestrictionType])[];
  /** Purpose 1 was not disclosed to the user. */
  readonly purposeOneTreatment?: boolean;
}

export function tcString(choice: Choice): string {
  const model = new TCModel(list);
  model.cmpId = 10;
  model.cmpVersion = 1;
  model.isServiceSpecific = true;
  model.purposeOneTreatment = choice.purposeOneTreatment ?? false;
  model.vendorConsents.set([...(choice.vendors ?? [])]);
  model.purposeConsents.set([...(choice.purposes ?? [])]);
  model.vendorLegitimateInterests.set([...(choice.interests ?? [])]);
  for (const [purpose, type, vendor] of choice.restrictions ?? [])
    model.publisherRestrictions.add(vendor, new PurposeRestriction(purpose, type));
  for (const [purpose, type] of choice.everywhere ?? [])
    model.publisherRestrictions.restrictPurposeToLegalBasis(new PurposeRestriction(purpose, type));
  return TCString.encode(model);
}
