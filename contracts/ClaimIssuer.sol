// SPDX-License-Identifier: MIT
pragma solidity ^0.8.24;

import {EIP712} from "@openzeppelin/contracts/utils/cryptography/EIP712.sol";
import {ClaimHolder} from "./ClaimHolder.sol";
import {ClaimHost} from "./ClaimHost.sol";
import {IdentityBase} from "./IdentityBase.sol";
import {IClaimIssuer} from "./interfaces/IClaimIssuer.sol";
import {IERC165} from "@openzeppelin/contracts/utils/introspection/IERC165.sol";
import {IERC735} from "./interfaces/IERC735.sol";
import {IIdentity} from "./interfaces/IIdentity.sol";
import {IIdentityFactory} from "./interfaces/IIdentityFactory.sol";
import {BoundedCall} from "./libraries/BoundedCall.sol";
import {ClaimWord} from "./libraries/ClaimWord.sol";
import {Ids} from "./libraries/Ids.sol";
import {KeyTypes, Purposes} from "./libraries/Purposes.sol";
import {Signatures} from "./libraries/Signatures.sol";
import {SignerTerms} from "./libraries/SignerTerms.sol";

/// @title The issuing identity
contract ClaimIssuer is ClaimHost {
    bytes32 private constant CLAIM = keccak256("Claim(address identity,uint256 topic,bytes32 word)");
    /// @dev ONCHAINID's IClaimIssuer.
    bytes4 private constant ONCHAINID_ISSUER = IClaimIssuer.revokeClaim.selector
        ^ IClaimIssuer.revokeClaimBySignature.selector ^ IClaimIssuer.isClaimRevoked.selector
        ^ IIdentity.isClaimValid.selector;
    uint256 private constant MAX_FIELD = 2048;
    uint256 private constant CODE_THRESHOLD = 96;

    /// @inheritdoc IClaimIssuer
    uint256 public constant CREATE_GAS = 300_000;
    /// @inheritdoc IClaimIssuer
    uint256 public constant CLAIM_GAS = 400_000;
    /// @inheritdoc IClaimIssuer
    uint256 public constant CLAIM_WORD_GAS = 24_000;

    IIdentityFactory private immutable FACTORY;

    constructor(address manager, address factory_) EIP712("Claimwright", "1") {
        if (manager == address(0) || factory_ == address(0)) revert ZeroAddress();
        FACTORY = IIdentityFactory(factory_);
        _addKey(Ids.keyOf(manager), Purposes.MANAGEMENT, KeyTypes.ECDSA);
    }

    /// @inheritdoc IClaimIssuer
    function onboard(Onboarding[] calldata items) external onlyOperator nonReentrant {
        for (uint256 i = 0; i < items.length; ++i) {
            Onboarding calldata item = items[i];
            (address identity, bool exists) = _identityFor(item.wallet);
            for (uint256 j = 0; j < item.claims.length; ++j) {
                if (!exists || !_add(identity, item.claims[j])) _fail(identity, item.claims[j].topic, i);
            }
            if (!exists && item.claims.length == 0) _fail(identity, 0, i);
        }
    }

    /// @inheritdoc IClaimIssuer
    function addClaimsTo(Addition[] calldata items) external onlyOperator nonReentrant {
        for (uint256 i = 0; i < items.length; ++i) {
            Addition calldata item = items[i];
            if (!_add(item.identity, item.claim)) _fail(item.identity, item.claim.topic, i);
        }
    }

    /// @inheritdoc IClaimIssuer
    function factory() external view returns (address) {
        return address(FACTORY);
    }

    /// @inheritdoc IClaimIssuer
    function claimDigest(address identity, uint256 topic, bytes32 word) public view returns (bytes32) {
        (bytes32 kind, uint256 subject) = (CLAIM, uint160(identity));
        bytes32 content; // keccak256(abi.encode(CLAIM, identity, topic, word)), without taking memory for it
        assembly ("memory-safe") {
            let at := mload(0x40)
            mstore(at, kind)
            mstore(add(at, 0x20), subject)
            mstore(add(at, 0x40), topic)
            mstore(add(at, 0x60), word)
            content := keccak256(at, 0x80)
        }
        return _hashTypedDataV4(content);
    }

    /// @inheritdoc IIdentity
    /// @dev There is none: nobody but its own keys writes here.
    function adder() public pure override(ClaimHolder, IIdentity) returns (address) {
        return address(0);
    }

    /// @inheritdoc IERC165
    function supportsInterface(bytes4 interfaceId) public view override(IERC165, IdentityBase) returns (bool) {
        return interfaceId == type(IClaimIssuer).interfaceId || interfaceId == ONCHAINID_ISSUER
            || super.supportsInterface(interfaceId);
    }

    /// @dev Told apart by length alone, so a signature of one form is never taken for another.
    function _isValid(address identity, uint256 topic, bytes calldata signature, bytes calldata data)
        internal
        view
        override
        returns (bool)
    {
        if (signature.length == Signatures.FULL) {
            return epochOf(identity, topic) == 0 && !_isRevoked(signature)
                && IdentityBase._isValid(identity, topic, signature, data);
        }
        if (data.length != 32) return false;
        bytes32 word = bytes32(data);
        bytes32 record = _records[topic][identity];
        if (signature.length == 0 && word != record) return false;
        if (!ClaimWord.isCurrent(word, ClaimWord.epoch(record), block.timestamp)) return false;
        if (signature.length == 0) return true; // hosted
        (address signer, SignerTerms terms) = _signerOf(claimDigest(identity, topic, word), signature);
        if (signer == address(0) || !terms.admits(word, block.timestamp)) return false;
        return !terms.mustLookUp() || !_isMarked(keccak256(signature));
    }

    function _firstManager() internal pure override returns (address) {
        return address(0);
    }

    function _codeThreshold() internal pure override returns (uint256) {
        return CODE_THRESHOLD;
    }

    function _isGuarded(address target) internal view override returns (bool) {
        return target == address(this) || target == address(FACTORY);
    }

    function _identityFor(address wallet) internal override returns (address identity, bool exists) {
        identity = FACTORY.getIdentity(wallet);
        if (identity != address(0)) return (identity, true);
        bytes memory call = abi.encodeCall(FACTORY.createFor, (wallet, address(this)));
        if (!BoundedCall.canAfford(CREATE_GAS)) revert NotEnoughGas();
        identity = address(uint160(BoundedCall.sendForWord(address(FACTORY), CREATE_GAS, call)));
        if (identity != address(0)) return (identity, true);
        return (FACTORY.predict(wallet, address(this)), false);
    }

    function _add(address identity, ClaimInput calldata claim) private returns (bool) {
        if (identity == address(this)) return false; // its own claims are its manager's affair, not an operator's
        uint256 uriLength = bytes(claim.uri).length;
        if (claim.signature.length > MAX_FIELD || claim.data.length > MAX_FIELD || uriLength > MAX_FIELD) return false;
        uint256 words = _words(claim.signature.length) + _words(claim.data.length) + _words(uriLength);
        bytes memory call = abi.encodeCall(
            IERC735.addClaim, (claim.topic, claim.scheme, address(this), claim.signature, claim.data, claim.uri)
        );
        return _send(identity, CLAIM_GAS + words * CLAIM_WORD_GAS, call);
    }

    function _words(uint256 length) private pure returns (uint256) {
        return (length + 31) / 32;
    }
}
